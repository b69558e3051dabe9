/* SPDX-License-Identifier: Apache-2.0 */
/* The verify callback makes another handshake on the same thread, with a server that does not answer. */
#include "stall.h"

static const char *silent;

static int ask_silent(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	NEED(handshake(client_of(silent, false)));
	return 1;
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[1], argc > 3);

	silent = argv[2];
	SSL_set_verify(ssl, SSL_VERIFY_PEER, ask_silent);
	NEED(handshake(ssl));
	return 0;
}
