/* SPDX-License-Identifier: Apache-2.0 */
/* A BIO pair so small that both ends retry in both directions. */
#include "common.h"

int main(void)
{
	struct pair pair = bio_pair(200);
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ;
	char byte;

	while (client != SSL_ERROR_NONE || server != SSL_ERROR_NONE) {
		if (client != SSL_ERROR_NONE)
			printf("client %s\n", error_name(client = step(pair.client)));
		else /* makes room for the server's session tickets */
			SSL_read(pair.client, &byte, 1);
		if (server != SSL_ERROR_NONE)
			printf("server %s\n", error_name(server = step(pair.server)));
		NEED(client != SSL_ERROR_SSL && server != SSL_ERROR_SSL);
	}
	printf("%s\n", SSL_get_version(pair.client));
	pair_free(&pair);
	return 0;
}
