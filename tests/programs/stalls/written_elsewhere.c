/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written_elsewhere [nonblocking] PORT: OpenSSL reads from one connection and writes to another: a
 * wrong number in SSL_set_wfd.
 */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], argc == 3);

	NEED(SSL_set_wfd(ssl, connect_to(argv[argc - 1])) == 1);
	NEED(handshake(ssl));
	return 0;
}
