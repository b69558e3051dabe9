/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks from outside like a libssl of another make: VERSION is its version text, MARK a function
 * that no other make has. Its objects contain no SSL_METHOD.
 */
void MARK(void);
const char *OpenSSL_version(int what);
const void *TLS_client_method(void);
const void *TLS_method(void);
void *SSL_CTX_new(const void *method);
void *SSL_new(void *context);
int SSL_set_fd(void *ssl, int fd);
int SSL_connect(void *ssl);
int SSL_do_handshake(void *ssl);
int SSL_get_error(const void *ssl, int ret);
void SSL_free(void *ssl);

static long method, context[8], object[8];

void MARK(void)
{
}

const char *OpenSSL_version(int what)
{
	(void)what;
	return VERSION;
}

const void *TLS_method(void)
{
	return &method;
}

const void *TLS_client_method(void)
{
	return &method;
}

void *SSL_CTX_new(const void *given)
{
	return given == &method ? context : 0;
}

void *SSL_new(void *given)
{
	return given == context ? object : 0;
}

int SSL_set_fd(void *ssl, int fd)
{
	return ssl == object && fd >= 0;
}

int SSL_connect(void *ssl)
{
	return ssl == object;
}

int SSL_do_handshake(void *ssl)
{
	return ssl == object;
}

int SSL_get_error(const void *ssl, int ret)
{
	return ssl != object || ret != 1;
}

void SSL_free(void *ssl)
{
	(void)ssl;
}
