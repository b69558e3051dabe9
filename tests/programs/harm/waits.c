/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waits in one kind of system call, again and again, for bytes on standard input. Each wait must
 * end as it does in a program that nobody stops: any error, also EINTR, ends the program with a
 * message. With "timeout": one wait of the given milliseconds; prints how long it took.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>

#include "../common.h"

static int epoll = -1;

static int by_read(void)
{
	return 1;
}

static int by_poll(void)
{
	struct pollfd in = {0, POLLIN, 0};

	return poll(&in, 1, -1);
}

static int by_poll_timed(void)
{
	struct pollfd in = {0, POLLIN, 0};

	return poll(&in, 1, 60000);
}

static int by_ppoll(void)
{
	struct pollfd in = {0, POLLIN, 0};

	return ppoll(&in, 1, &(struct timespec){60, 0}, NULL);
}

static int by_select(void)
{
	struct timeval limit = {60, 0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(0, &set);
	return select(1, &set, NULL, NULL, &limit);
}

static int epoll_for(int ms)
{
	struct epoll_event event = {.events = EPOLLIN};

	if (epoll < 0) {
		epoll = epoll_create1(0);
		epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
	}
	return epoll_wait(epoll, &event, 1, ms);
}

static int by_epoll(void)
{
	return epoll_for(-1);
}

static int by_epoll_timed(void)
{
	return epoll_for(60000);
}

/* Standard input is a socket here. */
static int by_receive(void)
{
	struct timeval limit = {60, 0};
	char byte;

	setsockopt(0, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	return (int)recv(0, &byte, 1, MSG_PEEK);
}

static const struct {
	const char *name;
	int (*wait)(void);
} ways[] = {
	{"read", by_read},	   {"poll", by_poll},	{"poll_timed", by_poll_timed},
	{"ppoll", by_ppoll},	   {"select", by_select}, {"epoll", by_epoll},
	{"epoll_timed", by_epoll_timed}, {"receive", by_receive},
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int one_timeout(const char *how, int ms)
{
	double begin = now();
	struct timespec span = {ms / 1000, ms % 1000 * 1000000l};
	int result = !strcmp(how, "poll") ? poll(NULL, 0, ms) : nanosleep(&span, NULL);

	printf("%d %d %.3f\n", result, result ? errno : 0, now() - begin);
	return 0;
}

static int each_byte(int (*wait)(void))
{
	char byte;
	int ready;

	while ((ready = wait()) == 1 && read(0, &byte, 1) == 1) {
		printf("%c\n", byte);
		fflush(stdout);
	}
	printf("%s\n", ready < 0 ? strerror(errno) : "end");
	return ready < 0;
}

int main(int argc, char **argv)
{
	/* makes this a process that uses TLS */
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());

	NEED(ctx && argc > 1);
	if (argc > 2)
		return one_timeout(argv[1], atoi(argv[2]));
	for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
		if (!strcmp(argv[1], ways[i].name))
			return each_byte(ways[i].wait);
	}
	return 2;
}
