/* SPDX-License-Identifier: Apache-2.0 */
/* A ClientHello callback that is not ready the first two times. */
#include "common.h"

static int asked;

static int when_ready(SSL *ssl, int *alert, void *context)
{
	(void)ssl;
	(void)alert;
	(void)context;
	return ++asked < 3 ? SSL_CLIENT_HELLO_RETRY : SSL_CLIENT_HELLO_SUCCESS;
}

int main(void)
{
	struct pair pair = bio_pair(0);
	int error;

	SSL_CTX_set_client_hello_cb(pair.server_ctx, when_ready, NULL);
	printf("client %s\n", error_name(step(pair.client)));
	while ((error = step(pair.server)) == SSL_ERROR_WANT_CLIENT_HELLO_CB)
		printf("server %s\n", error_name(error));
	NEED(finish(&pair));
	printf("asked %d times\n", asked);
	pair_free(&pair);
	return 0;
}
