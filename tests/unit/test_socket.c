/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake's socket from outside: this process's, and a child's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "unit/children.h"
#include "unit/pairs.h"

static void check_unread(int family)
{
	struct kernel_view view;
	struct pair pair;

	tcp_pair(&pair, family);
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.tcp_state, 1); /* established */
	assert_int_equal(view.socket.inq, 0);
	assert_int_equal(view.socket.unacked, 0);
	assert_memory_equal(&view.peer, &pair.h.peer, sizeof(view.peer));
	send_bytes(pair.other, 1234);
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 1234);
	assert_int_equal(view.socket.bytes_received, 1234);
	close_pair(&pair);
}

static void unread_bytes_of_ipv4(void **state)
{
	(void)state;
	check_unread(AF_INET);
}

static void unread_bytes_of_ipv6(void **state)
{
	(void)state;
	check_unread(AF_INET6);
}

/* A dual-stack server's view of an IPv4 client: ::ffff:127.0.0.1. */
static void mapped_address(void **state)
{
	struct sockaddr_storage v4 = {.ss_family = AF_INET};
	struct sockaddr_in6 any = {.sin6_family = AF_INET6};
	socklen_t size = sizeof(any);
	struct kernel_view view;
	struct pair pair;
	int listener;

	(void)state;
	listener = listen_on((void *)&any, sizeof(any));
	getsockname(listener, (void *)&any, &size);
	((struct sockaddr_in *)&v4)->sin_port = any.sin6_port;
	((struct sockaddr_in *)&v4)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	connect_to(&pair, listener, &v4, sizeof(struct sockaddr_in));
	send_bytes(pair.one, 77);
	pair = (struct pair){.one = pair.other, .other = pair.one};
	describe(&pair);
	assert_int_equal(pair.h.peer.family, AF_INET6);
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 77);
	close_pair(&pair);
}

/* The peer does not read: data is acknowledged until its window is full. */
static void unsent_bytes(void **state)
{
	static char block[1 << 20];
	struct kernel_view view;
	struct pair pair;
	int before, after = 0;

	(void)state;
	tcp_pair(&pair, AF_INET);
	for (int i = 0; i < 64; i++)
		send(pair.one, block, sizeof(block), MSG_DONTWAIT);
	assert_true(send(pair.one, block, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
	/* acknowledgments may still be in flight */
	do {
		before = after;
		look_at_pair(&pair, &view);
		assert_int_equal(ioctl(pair.one, SIOCOUTQ, &after), 0);
	} while (before != after);
	assert_true(after > 0);
	assert_int_equal(view.socket.outq, after);
	assert_true(view.socket.bytes_acked > 0);
	close_pair(&pair);
}

/*
 * With both addresses the kernel looks the socket up; one that no
 * address finds is found by its inode.
 */
static void by_both_addresses(void **state)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);
	struct kernel_view view;
	struct pair pair;

	(void)state;
	tcp_pair(&pair, AF_INET);
	assert_int_equal(getsockname(pair.one, (void *)&address, &size), 0);
	take_address(&address, &pair.h.local);
	send_bytes(pair.other, 10);
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 10);
	pair.h.local.addr[3] = 77;
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 10);
	close_pair(&pair);
}

static void not_a_socket(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct kernel_view view;
	struct pair pair;

	(void)state;
	tcp_pair(&pair, AF_INET);
	pair.h.read.fd = fd;
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.ticks, 0);
	assert_int_equal(view.descriptor, TLSTALL_DESCRIPTOR_REPLACED);
	close(fd);
	pair.h.read.fd = 4000; /* closed */
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.ticks, 0);
	assert_int_equal(view.descriptor, TLSTALL_DESCRIPTOR_CLOSED);
	close_pair(&pair);
}

/* The descriptor now belongs to another connection. */
static void descriptor_used_again(void **state)
{
	struct kernel_view view;
	struct pair before, now;
	struct stat file;

	(void)state;
	tcp_pair(&before, AF_INET);
	tcp_pair(&now, AF_INET);
	assert_int_equal(fstat(before.one, &file), 0);
	before.h.socket_inode = file.st_ino;
	look_at_pair(&before, &view);
	assert_int_equal(view.descriptor, TLSTALL_DESCRIPTOR_KEPT);
	assert_int_equal(dup2(now.one, before.one), before.one);
	look_at_pair(&before, &view);
	assert_int_equal(view.socket.ticks, 0);
	assert_int_equal(view.descriptor, TLSTALL_DESCRIPTOR_REPLACED);
	close_pair(&before);
	close_pair(&now);
}

static void unix_sockets(void **state)
{
	struct pair pair = {.h = {.peer = {.family = AF_UNIX}}};
	struct kernel_view view;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	pair.h.read = (struct tlstall_transport){.fd = fds[0], .bio_class = TLSTALL_BIO_SOCKET};
	send_bytes(fds[1], 55);
	/* in mode `watch` the family is not known */
	pair.h.peer.family = 0;
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, 55);
	pair.h.peer.family = AF_UNIX;
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.inq, 55);
	assert_int_equal(view.socket.outq, 0);
	assert_int_equal(view.socket.tcp_state, 0);
	close(fds[0]);
	close(fds[1]);
}

/* For datagrams the kernel reports memory, not bytes: only "none" or "some" is known. */
static void datagrams(void **state)
{
	struct sockaddr_storage storage = {.ss_family = AF_INET};
	struct sockaddr_in *address = (void *)&storage;
	socklen_t size = sizeof(*address);
	struct kernel_view view;
	struct pair pair;

	(void)state;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	pair.one = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pair.other = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(pair.other, (void *)address, size), 0);
	getsockname(pair.other, (void *)address, &size);
	assert_int_equal(connect(pair.one, (void *)address, size), 0);
	describe(&pair);
	pair.h.read.bio_class = TLSTALL_BIO_DATAGRAM;
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.inq, 0);
	assert_int_equal(view.socket.tcp_state, 0);
	getsockname(pair.one, (void *)address, &size);
	assert_int_equal(connect(pair.other, (void *)address, size), 0);
	send_bytes(pair.other, 20);
	look_at_pair(&pair, &view);
	assert_int_equal(view.socket.inq, UINT32_MAX);
	close_pair(&pair);
}

/* ---- unknown descriptor ------------------------------------------------------ */

static void keep_pipes_and(int one, int other)
{
	for (int fd = 3; fd < 256; fd++) {
		if (fd != one && fd != other && fd != child_ready_fd && fd != child_end_fd)
			close(fd);
	}
}

static void hold(void *argument)
{
	const int *fds = argument;

	keep_pipes_and(fds[0], fds[1]);
	child_ready();
}

/* Two connections, one of which has carried bytes; what carries the handshake is not known. */
struct choice {
	struct pair pair, second;
	struct child child;
	struct kernel_view view;
};

static void begin_choice(struct choice *c)
{
	*c = (struct choice){0};
	tcp_pair(&c->pair, AF_INET);
	tcp_pair(&c->second, AF_INET);
	send_bytes(c->pair.other, 500);
	send_bytes(c->pair.one, 300);
	c->pair.h.read = (struct tlstall_transport){.fd = -1, .bio_class = TLSTALL_BIO_CUSTOM};
	c->pair.h.peer = (struct tlstall_address){0};
	c->pair.h.calls = 1;
}

/* Looks at a process that has these two descriptors; -1: none. */
static void start_holder(struct choice *c, int one, int other)
{
	c->child = child_start(hold, (int[]){one, other});
	c->pair.h.tid = (uint32_t)c->child.pid;
}

static void look_again(struct choice *c)
{
	kernel_look(c->child.pid, &c->pair.h, &c->view);
}

static void end_choice(struct choice *c)
{
	child_kill(&c->child);
	close_pair(&c->pair);
	close_pair(&c->second);
}

/* curl's BIO is its own: if only one connection fits, that is the one. */
static void only_connection(void **state)
{
	struct choice c;

	(void)state;
	begin_choice(&c);
	start_holder(&c, c.pair.one, -1);
	c.pair.h.calls = 0;
	c.pair.h.bytes_in = 500;
	c.pair.h.bytes_out = 300;
	look_again(&c);
	assert_int_equal(c.view.socket.inq, 500);
	assert_int_equal(c.view.peer.family, AF_INET);
	assert_int_equal(c.view.fitting, 1);
	assert_true(c.view.guessed); /* what was read is still there, so it may be another's */
	c.pair.h.bytes_in = 501;
	look_again(&c);
	assert_int_equal(c.view.socket.ticks, 0);
	end_choice(&c);
}

static void one_of_two_connections(void **state)
{
	struct choice c;

	(void)state;
	begin_choice(&c);
	start_holder(&c, c.pair.one, c.second.one);
	c.pair.h.calls = 0;
	look_again(&c);
	assert_int_equal(c.view.socket.ticks, 0);
	assert_int_equal(c.view.fitting, 2);
	/* one of them carried exactly the handshake's bytes */
	c.pair.h.calls = 1;
	c.pair.h.bytes_out = 300;
	look_again(&c);
	assert_int_equal(c.view.socket.inq, 500);
	assert_false(c.view.guessed);
	assert_int_equal(c.view.fitting, 1);
	/* except for what may have been sent since */
	c.pair.h.enter = 1;
	look_again(&c);
	assert_true(c.view.guessed);
	/* all of it was in the BIO when the op returned, and has been sent since */
	c.pair.h.enter = 0;
	c.pair.h.write.bio_class = TLSTALL_BIO_MEMORY;
	c.pair.h.pending_out = 300;
	look_again(&c);
	assert_int_equal(c.view.fitting, 1);
	assert_false(c.view.guessed);
	end_choice(&c);
}

/* Until it has bytes that nobody has read: not those that have just come. */
static void idle_connection(void **state)
{
	struct choice c;

	(void)state;
	begin_choice(&c);
	start_holder(&c, c.second.one, -1);
	look_again(&c);
	assert_int_equal(c.view.idle, 1);
	send_bytes(c.second.other, 10);
	do {
		look_again(&c);
		assert_int_equal(c.view.idle, 0);
		assert_true(c.view.unread ==
			    (c.view.socket.last_data_recv_ms >= TLSTALL_UNREAD_MS));
	} while (!c.view.unread && !usleep(20000));
	end_choice(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unread_bytes_of_ipv4),
		cmocka_unit_test(unread_bytes_of_ipv6),
		cmocka_unit_test(mapped_address),
		cmocka_unit_test(unsent_bytes),
		cmocka_unit_test(by_both_addresses),
		cmocka_unit_test(not_a_socket),
		cmocka_unit_test(descriptor_used_again),
		cmocka_unit_test(unix_sockets),
		cmocka_unit_test(datagrams),
		cmocka_unit_test(only_connection),
		cmocka_unit_test(one_of_two_connections),
		cmocka_unit_test(idle_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
