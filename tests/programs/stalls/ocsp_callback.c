/* SPDX-License-Identifier: Apache-2.0 */
/* The verify callback asks an OCSP server that does not answer. */
#include "stall.h"

static const char *responder;

static int ask_responder(int ok, X509_STORE_CTX *store)
{
	char answer[64];
	int fd = connect_to(responder);

	(void)ok;
	NEED(write(fd, "POST / HTTP/1.0\r\n\r\n", 19) == 19);
	NEED(read(fd, answer, sizeof(answer)) >= 0);
	close(fd);
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[1], argc > 3);

	responder = argv[2];
	SSL_set_verify(ssl, SSL_VERIFY_PEER, ask_responder);
	NEED(handshake(ssl));
	return 0;
}
