/* SPDX-License-Identifier: Apache-2.0 */
/*
 * BIO methods of the program with the types and names of built-in ones: their control functions are
 * called by OpenSSL alone.
 */
#include "common.h"

static const struct {
	int type;
	const char *name;
} kinds[] = {
	{BIO_TYPE_MEM, "memory buffer"},   {BIO_TYPE_MEM, "secure memory buffer"},
	{BIO_TYPE_SOCKET, "socket"},	   {BIO_TYPE_CONNECT, "socket connect"},
	{BIO_TYPE_DGRAM, "datagram socket"}, {BIO_TYPE_FD, "file descriptor"},
	{BIO_TYPE_BIO, "BIO pair"},
};

static int controls;

static long on_control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	controls++;
	return command == BIO_CTRL_FLUSH;
}

static int on_read(BIO *bio, char *buffer, int size)
{
	(void)buffer, (void)size;
	BIO_set_retry_read(bio);
	return -1;
}

static int on_write(BIO *bio, const char *buffer, int size)
{
	(void)bio, (void)buffer;
	return size;
}

static void imitate(int type, const char *name)
{
	SSL_CTX *context = client_context(TLS_client_method());
	BIO_METHOD *method = BIO_meth_new(type, name);
	SSL *ssl = SSL_new(context);
	BIO *bio;

	NEED(method && ssl);
	BIO_meth_set_ctrl(method, on_control);
	BIO_meth_set_read(method, on_read);
	BIO_meth_set_write(method, on_write);
	NEED(bio = BIO_new(method));
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	controls = 0;
	for (int i = 0; i < 3; i++)
		NEED(step(ssl) == SSL_ERROR_WANT_READ);
	printf("%s: %d controls\n", name, controls);
	SSL_free(ssl);
	BIO_meth_free(method);
	SSL_CTX_free(context);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		imitate(kinds[i].type, kinds[i].name);
	return 0;
}
