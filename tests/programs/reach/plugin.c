/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin that links the libssl it was built with; loaded by plugin_host. Uses no header, so that
 * it works with any version.
 */
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;

const void *TLS_client_method(void);
SSL_CTX *SSL_CTX_new(const void *method);
SSL *SSL_new(SSL_CTX *context);
int SSL_set_fd(SSL *ssl, int fd);
int SSL_connect(SSL *ssl);
void SSL_free(SSL *ssl);
int handshake(int fd);

int handshake(int fd)
{
	SSL *ssl = SSL_new(SSL_CTX_new(TLS_client_method()));
	int ret;

	SSL_set_fd(ssl, fd);
	ret = SSL_connect(ssl);
	SSL_free(ssl);
	return ret;
}
