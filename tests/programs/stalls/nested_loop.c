/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Its loop waits for readable, as it should. But the thread is in another wait inside of that, for a child or
 * a lookup: in epoll_wait, or with "poll" in poll().
 */
#include "stall.h"

#include <sys/epoll.h>

static int watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN};
	int epoll = epoll_create1(0);

	NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
	return epoll;
}

int main(int argc, char **argv)
{
	SSL *ssl = unanswered(argv[1]);
	struct epoll_event event;
	int out[2], errors[2];

	watch(SSL_get_fd(ssl));
	NEED(pipe(out) == 0 && pipe(errors) == 0);
	if (argc > 2) {
		struct pollfd both[] = {{.fd = out[0], .events = POLLIN},
					{.fd = errors[0], .events = POLLIN}};

		poll(both, 2, -1);
	}
	epoll_wait(watch(out[0]), &event, 1, -1);
	return 0;
}
