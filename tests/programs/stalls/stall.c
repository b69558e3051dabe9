/* SPDX-License-Identifier: Apache-2.0 */
#include "stall.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

int connect_to(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	NEED(port);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	address.sin_port = htons((uint16_t)atoi(port));
	NEED(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

SSL *client_of(const char *port, bool nonblocking)
{
	SSL_CTX *ctx = client_context(TLS_client_method());
	SSL *ssl = SSL_new(ctx);
	int fd = connect_to(port);

	if (nonblocking)
		NEED(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	NEED(SSL_set_fd(ssl, fd) == 1);
	SSL_set_connect_state(ssl);
	SSL_CTX_free(ctx);
	return ssl;
}

SSL *unanswered(const char *port)
{
	SSL *ssl = client_of(port, true);

	/* a fast peer sometimes finishes within the call */
	while (step(ssl) != SSL_ERROR_WANT_READ) {
		NEED(SSL_is_init_finished(ssl));
		SSL_free(ssl);
		ssl = client_of(port, true);
	}
	return ssl;
}

bool await(int fd, short events, int milliseconds)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, milliseconds) == 1;
}

bool handshake(SSL *ssl)
{
	int error;

	while ((error = step(ssl)) == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
		await(SSL_get_fd(ssl), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, -1);
	return error == SSL_ERROR_NONE;
}

void sleep_ms(long milliseconds)
{
	struct timespec time = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	nanosleep(&time, NULL);
}

void hang(void)
{
	for (;;)
		pause();
}
