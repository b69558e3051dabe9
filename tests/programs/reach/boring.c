/* SPDX-License-Identifier: Apache-2.0 */
/*
 * boring PORT: a handshake with only the functions that OpenSSL and its forks share. Uses no
 * header, because the forks' headers differ.
 */
#include "reach.h"

typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
SSL *SSL_new(SSL_CTX *context);
int SSL_set_fd(SSL *ssl, int fd);
int SSL_connect(SSL *ssl);
int SSL_get_error(const SSL *ssl, int ret);
void SSL_free(SSL *ssl);

int main(int argc, char **argv)
{
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	int ret;

	if (argc != 2)
		return 2;
	SSL_set_fd(ssl, connect_to(argv[1]));
	ret = SSL_connect(ssl);
	printf("%d, error %d\n", ret, SSL_get_error(ssl, ret));
	SSL_free(ssl);
	return 0;
}
