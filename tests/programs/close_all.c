/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A daemon that makes its TLS contexts, then closes all descriptors that it does not know, in the
 * way that argv[1] says, and opens its own: a log, a listener, channels, one of them blocking. A
 * library that kept a descriptor would now read and write the daemon's.
 */
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

#define CHANNELS 3

static void close_all(const char *way)
{
	if (!strcmp(way, "range") && syscall(SYS_close_range, 3u, ~0u, 0u) == 0)
		return;
	if (!strcmp(way, "from-the-top"))
		for (int fd = 1023; fd > 2; fd--)
			close(fd);
	for (int fd = 3; fd < 1024; fd++)
		close(fd);
}

static int new_listener(struct sockaddr_in *address)
{
	socklen_t size = sizeof(*address);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(bind(fd, (struct sockaddr *)address, size) == 0 && listen(fd, 5) == 0);
	NEED(getsockname(fd, (struct sockaddr *)address, &size) == 0);
	return fd;
}

static bool accepts(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool good = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

	close(fd);
	return good;
}

static void print_received(const char *what, int fd)
{
	char text[100];
	ssize_t size = recv(fd, text, sizeof(text), MSG_DONTWAIT);

	printf("%s:", what);
	for (ssize_t i = 0; i < size; i++)
		printf(" %02x", (unsigned char)text[i]);
	puts("");
}

/* Frames over many pages, so that a stack walk has much to read. */
static bool __attribute__((noinline)) finish_deep(struct pair *pair, int depth)
{
	volatile char room[9000];
	bool good;

	room[0] = (char)depth;
	good = depth ? finish_deep(pair, depth - 1) : finish(pair);
	return good && room[0] == (char)depth;
}

int main(int argc, char **argv)
{
	struct pair pair = bio_pair(0);
	struct sockaddr_in address;
	int channels[CHANNELS][2], blocking[2], log, listener;

	close_all(argc > 1 ? argv[1] : "loop");
	log = open("/dev/null", O_WRONLY | O_APPEND);
	listener = new_listener(&address);
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, blocking) == 0);
	for (int i = 0; i < CHANNELS; i++) {
		NEED(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, channels[i]) == 0);
		NEED(write(channels[i][0], "HELLO", 5) == 5 && write(channels[i][1], "HELLO", 5) == 5);
	}
	printf("handshake %d\n", finish_deep(&pair, 20));
	print_descriptors();
	for (int i = 0; i < CHANNELS; i++) {
		print_received("one end", channels[i][0]);
		print_received("other end", channels[i][1]);
	}
	print_received("blocking", blocking[0]);
	printf("listener %d accepts %d, log %d\n", listener, accepts(&address), log);
	pair_free(&pair);
	return 0;
}
