/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes each failure for a retry, and calls again as soon as the socket is ready, which it is.
 */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);

	SSL_set_max_proto_version(ssl, TLS1_2_VERSION);
	for (;;) {
		SSL_get_error(ssl, SSL_connect(ssl));
		ERR_clear_error();
		await(SSL_get_fd(ssl), POLLIN | POLLOUT, 100);
	}
}
