/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between SSL_connect and SSL_get_error, a file cache fails to open a file; the program gives up.
 */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);
	int ret = SSL_connect(ssl);

	NEED(ret == -1 && !BIO_new_file("/nonexistent", "r"));
	NEED(SSL_get_error(ssl, ret) != SSL_ERROR_WANT_READ);
	SSL_free(ssl);
	return 1;
}
