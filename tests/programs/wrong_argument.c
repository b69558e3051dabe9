/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_get_error with values that the op did not return. */
#include "common.h"

int main(void)
{
	struct pair pair = bio_pair(0);
	int ret = SSL_connect(pair.client);

	printf("returned %d: %s\n", ret, error_name(SSL_get_error(pair.client, ret)));
	printf("told 1: %s\n", error_name(SSL_get_error(pair.client, 1)));
	printf("told 0: %s\n", error_name(SSL_get_error(pair.client, 0)));
	printf("told -7: %s\n", error_name(SSL_get_error(pair.client, -7)));
	NEED(finish(&pair));
	printf("done, told -1: %s\n", error_name(SSL_get_error(pair.client, -1)));
	pair_free(&pair);
	return 0;
}
