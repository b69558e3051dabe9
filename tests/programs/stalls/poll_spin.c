/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After WANT_READ, its poll() also asks for writability: it never
 * sleeps, and calls OpenSSL only once.
 */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = unanswered(argv[argc - 1]);
	struct pollfd ready = {.fd = SSL_get_fd(ssl), .events = POLLIN | POLLOUT};

	while (!(ready.revents & POLLIN))
		NEED(poll(&ready, 1, -1) == 1);
	return SSL_connect(ssl) != 1;
}
