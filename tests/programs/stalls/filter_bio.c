/* SPDX-License-Identifier: Apache-2.0 */
/* A filter BIO of the program's own that does not set its retry flag. */
#include "stall.h"

static int pass_write(BIO *bio, const char *data, int size)
{
	return BIO_write(BIO_next(bio), data, size);
}

static int pass_read(BIO *bio, char *data, int size)
{
	return BIO_read(BIO_next(bio), data, size); /* BIO_copy_next_retry() is missing */
}

static long pass_ctrl(BIO *bio, int command, long number, void *pointer)
{
	return BIO_ctrl(BIO_next(bio), command, number, pointer);
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_FILTER, "counting filter");
	BIO *filter, *socket = SSL_get_rbio(ssl);

	BIO_meth_set_write(method, pass_write);
	BIO_meth_set_read(method, pass_read);
	BIO_meth_set_ctrl(method, pass_ctrl);
	BIO_up_ref(socket);
	filter = BIO_new(method);
	BIO_set_init(filter, 1);
	BIO_push(filter, socket);
	SSL_set_bio(ssl, filter, filter);
	NEED(step(ssl) == SSL_ERROR_SYSCALL);
	SSL_free(ssl);
	return 1;
}
