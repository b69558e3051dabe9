/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After WANT_READ it waits for writability, edge-triggered; with "others" it
 * serves other connections meanwhile.
 */
#include "stall.h"

#include <sys/epoll.h>

static void serve_another(const char *port)
{
	SSL *ssl = client_of(port, true);
	int fd = SSL_get_fd(ssl);

	NEED(handshake(ssl));
	SSL_free(ssl);
	close(fd);
}

int main(int argc, char **argv)
{
	SSL *ssl = unanswered(argv[1]);
	struct epoll_event event = {.events = EPOLLOUT | EPOLLET, .data.ptr = ssl};
	int epoll = epoll_create1(0);

	NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, SSL_get_fd(ssl), &event) == 0);
	NEED(epoll_wait(epoll, &event, 1, -1) == 1);
	event = (struct epoll_event){.events = EPOLLHUP | EPOLLET, .data.ptr = ssl};
	epoll_ctl(epoll, EPOLL_CTL_MOD, SSL_get_fd(ssl), &event);
	for (;;) {
		if (epoll_wait(epoll, &event, 1, argc > 2 ? 100 : -1) == 0)
			serve_another(argv[1]);
	}
}
