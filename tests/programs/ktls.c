/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel encrypts after the handshake, if OpenSSL and the kernel support that. */
#include "common.h"

#ifdef SSL_OP_ENABLE_KTLS
static void ask(SSL *ssl)
{
	SSL_set_options(ssl, SSL_OP_ENABLE_KTLS);
}

static const char *used(SSL *ssl)
{
	return BIO_get_ktls_send(SSL_get_wbio(ssl)) ? "by the kernel" : "not by this kernel";
}
#else
static void ask(SSL *ssl)
{
	(void)ssl;
}

static const char *used(SSL *ssl)
{
	(void)ssl;
	return "not by this OpenSSL";
}
#endif

int main(void)
{
	struct pair pair = tcp_pair(true);
	char byte = 0;

	ask(pair.client);
	ask(pair.server);
	printf("finished %d\n", finish(&pair));
	printf("written %d\n", SSL_write(pair.client, "x", 1));
	while (SSL_read(pair.server, &byte, 1) != 1)
		NEED(SSL_get_error(pair.server, -1) == SSL_ERROR_WANT_READ);
	printf("read %c\n", byte);
	puts(used(pair.client));
	pair_free(&pair);
	return 0;
}
