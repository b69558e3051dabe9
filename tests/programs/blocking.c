/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking client and server on two threads; the client shuts the connection down properly. */
#include "common.h"

static void *serve(void *argument)
{
	SSL *ssl = argument;
	char byte;
	int ret = SSL_accept(ssl);

	NEED(ret == 1);
	ret = SSL_read(ssl, &byte, 1);
	NEED(ret == 0 && SSL_get_error(ssl, ret) == SSL_ERROR_ZERO_RETURN);
	NEED(SSL_shutdown(ssl) == 1);
	return NULL;
}

int main(void)
{
	struct pair pair = tcp_pair(false);
	pthread_t server;
	int ret;

	NEED(pthread_create(&server, NULL, serve, pair.server) == 0);
	ret = SSL_connect(pair.client);
	printf("connect %d %s\n", ret, error_name(SSL_get_error(pair.client, ret)));
	printf("shutdown %d\n", SSL_shutdown(pair.client));
	printf("shutdown %d\n", SSL_shutdown(pair.client));
	NEED(pthread_join(server, NULL) == 0);
	pair_free(&pair);
	return 0;
}
