/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client whose BIO sets its retry flag when nothing has come yet, and never clears it, as haproxy
 * 2.6 does. It calls again when its peer has answered, and ends when SSL_get_error names a failure.
 */
#include "stall.h"

static int descriptor;
static bool early = true;

static int take(BIO *bio, char *to, int size)
{
	if (!early)
		return (int)recv(descriptor, to, (size_t)size, 0);
	BIO_set_retry_read(bio);
	return -1;
}

static int give(BIO *bio, const char *from, int size)
{
	(void)bio;
	return (int)send(descriptor, from, (size_t)size, 0);
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	return command == BIO_CTRL_FLUSH;
}

int main(int argc, char **argv)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");
	SSL *ssl = SSL_new(client_context(TLS_client_method()));
	BIO *bio;
	int ret;

	NEED(argc == 2 && method && BIO_meth_set_read(method, take) &&
	     BIO_meth_set_write(method, give) && BIO_meth_set_ctrl(method, control));
	bio = BIO_new(method);
	BIO_set_init(bio, 1);
	descriptor = connect_to(argv[1]);
	SSL_set_bio(ssl, bio, bio);
	ret = SSL_connect(ssl);
	NEED(SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ);
	await(descriptor, POLLIN, -1);
	early = false;
	ret = SSL_connect(ssl);
	NEED(SSL_get_error(ssl, ret) == SSL_ERROR_SSL);
	SSL_free(ssl);
	return 0;
}
