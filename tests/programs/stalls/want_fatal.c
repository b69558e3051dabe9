/* SPDX-License-Identifier: Apache-2.0 */
/* Treats anything but 1 as a failure, like a program written for blocking sockets. */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);
	int ret = SSL_connect(ssl);

	if (ret != 1) {
		NEED(SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ);
		SSL_free(ssl);
	}
	return 1;
}
