/* SPDX-License-Identifier: Apache-2.0 */
/*
 * written_elsewhere [memory] [nonblocking] PORT: OpenSSL reads from one connection and writes to another: a
 * wrong number in SSL_set_wfd. With "memory", it writes into a memory BIO, which nobody empties.
 */
#include "stall.h"

static bool has(char **argv, const char *word)
{
	while (*argv && strcmp(*argv, word))
		argv++;
	return *argv;
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], has(argv, "nonblocking"));

	if (has(argv, "memory"))
		SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
	else
		NEED(SSL_set_wfd(ssl, connect_to(argv[argc - 1])) == 1);
	NEED(handshake(ssl));
	return 0;
}
