/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ops on objects whose BIOs were taken away after a failure: OpenSSL returns -1 with an empty queue,
 * and SSL_get_error, which no careful program calls then, does not check whether there is a BIO.
 */
#include "common.h"

static void without_bios(SSL *ssl, const char *which)
{
	static char byte;

	SSL_set_bio(ssl, NULL, NULL);
	for (int round = 0; round < 3; round++) {
		int shook = SSL_do_handshake(ssl), got = SSL_read(ssl, &byte, 1);
		int put = SSL_write(ssl, &byte, 1), ended = SSL_shutdown(ssl);

		printf("%s: %d %d %d %d, want %d, queue %d\n", which, shook, got, put, ended,
		       SSL_want(ssl), ERR_GET_REASON(ERR_peek_last_error()));
		ERR_clear_error();
	}
	SSL_free(ssl);
}

/* The peer closes while the ServerHello is awaited. */
static void while_reading(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	int fds[2];

	NEED(ssl && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	NEED(SSL_set_fd(ssl, fds[0]) == 1);
	printf("%d\n", SSL_connect(ssl));
	NEED(shutdown(fds[1], SHUT_WR) == 0);
	printf("%d\n", SSL_connect(ssl));
	ERR_clear_error();
	without_bios(ssl, "reading");
	close(fds[0]);
	close(fds[1]);
}

/* There is room only for a part of the ClientHello. */
static void while_writing(SSL_CTX *ctx)
{
	SSL *ssl = SSL_new(ctx);
	BIO *end, *other;

	NEED(ssl && BIO_new_bio_pair(&end, 20, &other, 20) == 1);
	SSL_set_bio(ssl, end, end);
	printf("%d\n", SSL_connect(ssl));
	without_bios(ssl, "writing");
	BIO_free(other);
}

int main(void)
{
	SSL_CTX *ctx = client_context(TLS_client_method());

	while_reading(ctx);
	while_writing(ctx);
	SSL_CTX_free(ctx);
	return 0;
}
