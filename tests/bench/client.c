/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of nginx that keeps running, so that its start is not part of what a handshake costs.
 * It reads a number from standard input, makes that many handshakes, four at a time, with a
 * request each, and prints the CPU time used, in microseconds. client PORT
 */
#include "programs/common.h"

#include <arpa/inet.h>
#include <poll.h>
#include <time.h>

#define AT_ONCE 4

struct connection {
	SSL *ssl;
	enum { SHAKING, ASKING, READING } phase;
};

static SSL_CTX *ctx;
static struct sockaddr_in server = {.sin_family = AF_INET};
static const char request[] = "GET / HTTP/1.0\r\n\r\n";

static void begin(struct connection *c, struct pollfd *waits)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	NEED(fd >= 0);
	NEED(connect(fd, (struct sockaddr *)&server, sizeof(server)) == 0 || errno == EINPROGRESS);
	NEED(c->ssl = SSL_new(ctx));
	NEED(SSL_set_fd(c->ssl, fd) == 1);
	SSL_set_connect_state(c->ssl);
	c->phase = SHAKING;
	*waits = (struct pollfd){.fd = fd, .events = POLLOUT};
}

static int advance(struct connection *c)
{
	char answer[4096];

	if (c->phase == SHAKING)
		return SSL_do_handshake(c->ssl);
	if (c->phase == ASKING)
		return SSL_write(c->ssl, request, sizeof(request) - 1);
	return SSL_read(c->ssl, answer, sizeof(answer));
}

/* Whether the server has answered everything. */
static bool go_on(struct connection *c, struct pollfd *waits)
{
	int ret;

	while ((ret = advance(c)) > 0)
		c->phase = c->phase == SHAKING ? ASKING : READING;
	waits->events = SSL_get_error(c->ssl, ret) == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
	if (SSL_get_error(c->ssl, ret) == SSL_ERROR_WANT_READ || waits->events == POLLOUT)
		return false;
	NEED(c->phase == READING);
	SSL_free(c->ssl);
	close(waits->fd);
	waits->fd = -1;
	return true;
}

static void shake(unsigned times)
{
	struct connection connections[AT_ONCE];
	struct pollfd waits[AT_ONCE];
	unsigned begun = 0, done = 0;

	for (; begun < AT_ONCE && begun < times; begun++)
		begin(&connections[begun], &waits[begun]);
	for (unsigned open = begun; done < times;) {
		NEED(poll(waits, open, -1) > 0);
		for (unsigned i = 0; i < open; i++) {
			if (waits[i].fd < 0 || !waits[i].revents || !go_on(&connections[i], &waits[i]))
				continue;
			done++;
			if (begun < times && ++begun)
				begin(&connections[i], &waits[i]);
		}
	}
}

static double cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

int main(int argc, char **argv)
{
	unsigned times;

	NEED(argc == 2);
	server.sin_port = htons((uint16_t)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ctx = client_context(TLS_client_method());
	while (scanf("%u", &times) == 1) {
		double before = cpu_us();

		shake(times);
		printf("%.3f\n", cpu_us() - before);
		fflush(stdout);
	}
	return 0;
}
