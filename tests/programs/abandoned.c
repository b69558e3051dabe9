/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_free in the middle of a handshake, and an exit with another handshake unfinished. */
#include "common.h"

int main(void)
{
	struct pair pair = bio_pair(0);

	printf("client %s\n", error_name(step(pair.client)));
	pair_free(&pair);
	pair = bio_pair(0);
	printf("client %s\n", error_name(step(pair.client)));
	printf("server %s\n", error_name(step(pair.server)));
	return 0;
}
