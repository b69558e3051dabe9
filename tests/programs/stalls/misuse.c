/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "ok": calls SSL_get_error with 1, assumes that the handshake is done, and waits for the server's
 * greeting. "other": calls it after an operation on another object failed.
 */
#include "stall.h"

static void use_other(const char *port)
{
	SSL *ssl = client_of(port, true);

	while (step(ssl) == SSL_ERROR_WANT_READ)
		await(SSL_get_fd(ssl), POLLIN, -1);
	/* leaves the error of its failure in the queue */
	SSL_do_handshake(ssl);
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[2], true);
	int ret = SSL_connect(ssl);

	NEED(argc > 2 && ret == -1);
	if (!strcmp(argv[1], "ok")) {
		NEED(SSL_get_error(ssl, 1) == SSL_ERROR_NONE);
		hang();
	}
	use_other(argv[3]);
	NEED(SSL_get_error(ssl, ret) != SSL_ERROR_WANT_READ);
	SSL_free(ssl);
	return 1;
}
