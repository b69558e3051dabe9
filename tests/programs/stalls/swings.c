/* SPDX-License-Identifier: Apache-2.0 */
/* `swings`: a client whose peer is silent. For 2 ms it is in a callback inside SSL_connect, then for 2 ms in poll(). */
#include "stall.h"

static long rest(BIO *bio, int oper, const char *arg, size_t length, int number, long value, int ret, size_t *processed)
{
	(void)bio, (void)arg, (void)length, (void)number, (void)value, (void)processed;
	if (oper == BIO_CB_READ)
		sleep_ms(2);
	return ret;
}

int main(void)
{
	SSL *ssl = SSL_new(client_context(TLS_client_method()));
	int ends[2];

	NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) == 0 && SSL_set_fd(ssl, ends[0]) == 1);
	BIO_set_callback_ex(SSL_get_rbio(ssl), rest);
	for (;;) {
		NEED(SSL_connect(ssl) == -1 && SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ);
		await(ends[0], POLLIN, 2);
	}
}
