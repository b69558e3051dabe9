/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepts connections and makes handshakes in one thread, with blocking sockets; prints its port.
 */
#include "stall.h"

#include <arpa/inet.h>
#include <signal.h>

static int listen_anywhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t length = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 9) == 0);
	NEED(getsockname(listener, (struct sockaddr *)&address, &length) == 0);
	printf("%d\n", ntohs(address.sin_port));
	fflush(stdout);
	return listener;
}

int main(void)
{
	SSL_CTX *ctx = server_context(TLS_server_method());
	int listener = listen_anywhere();

	signal(SIGPIPE, SIG_IGN); /* clients may have left */
	for (;;) {
		SSL *ssl = SSL_new(ctx);
		int fd = accept(listener, NULL, NULL);

		NEED(fd >= 0 && SSL_set_fd(ssl, fd) == 1);
		SSL_accept(ssl);
		ERR_clear_error();
		SSL_shutdown(ssl);
		SSL_free(ssl);
		close(fd);
	}
}
