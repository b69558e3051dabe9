/* SPDX-License-Identifier: Apache-2.0 */
/* What is seen of live processes from outside: this one's sockets and threads, and children's. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "kernel/unwind.h"
#include "symbols/symbols.h"

#define NOBODY 65534

/* ---- sockets ------------------------------------------------------------------ */

struct pair {
	int one, other;
	struct tlstall_handshake h; /* of `one` */
};

static void take_address(const struct sockaddr_storage *storage, struct tlstall_address *out)
{
	const struct sockaddr_in *v4 = (const void *)storage;
	const struct sockaddr_in6 *v6 = (const void *)storage;

	out->family = storage->ss_family;
	out->port = ntohs(storage->ss_family == AF_INET ? v4->sin_port : v6->sin6_port);
	if (storage->ss_family == AF_INET)
		memcpy(out->addr, &v4->sin_addr, 4);
	else
		memcpy(out->addr, &v6->sin6_addr, 16);
}

static void describe(struct pair *pair)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	pair->h = (struct tlstall_handshake){
		.tid = (uint32_t)gettid(),
		.read = {.fd = pair->one, .bio_class = TLSTALL_BIO_SOCKET},
	};
	assert_int_equal(getpeername(pair->one, (void *)&address, &size), 0);
	take_address(&address, &pair->h.peer);
}

static int listen_on(const struct sockaddr *address, socklen_t size)
{
	int listener = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(listener >= 0);
	assert_int_equal(bind(listener, address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	return listener;
}

static void connect_to(struct pair *pair, int listener, const struct sockaddr_storage *address,
		       socklen_t size)
{
	pair->one = socket(address->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(pair->one, (const void *)address, size), 0);
	pair->other = accept(listener, NULL, NULL);
	assert_true(pair->other >= 0);
	close(listener);
	describe(pair);
}

static void tcp_pair(struct pair *pair, int family)
{
	struct sockaddr_storage address = {.ss_family = (sa_family_t)family};
	socklen_t size =
		family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int listener;

	if (family == AF_INET)
		((struct sockaddr_in *)&address)->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		((struct sockaddr_in6 *)&address)->sin6_addr = in6addr_loopback;
	listener = listen_on((void *)&address, size);
	getsockname(listener, (void *)&address, &size);
	connect_to(pair, listener, &address, size);
}

static void close_pair(struct pair *pair)
{
	close(pair->one);
	close(pair->other);
}

static void send_bytes(int fd, size_t count)
{
	char bytes[4096] = {0};

	assert_int_equal(send(fd, bytes, count, 0), (ssize_t)count);
}

static void look(const struct pair *pair, struct kernel_view *out)
{
	kernel_look(getpid(), &pair->h, out);
}

static void check_unread(int family)
{
	struct kernel_view view;
	struct pair pair;

	tcp_pair(&pair, family);
	look(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.tcp_state, 1); /* established */
	assert_int_equal(view.socket.inq, 0);
	assert_int_equal(view.socket.unacked, 0);
	assert_memory_equal(&view.peer, &pair.h.peer, sizeof(view.peer));
	send_bytes(pair.other, 1234);
	look(&pair, &view);
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
	look(&pair, &view);
	assert_int_equal(view.socket.inq, 77);
	close_pair(&pair);
}

/* The peer reads nothing: what we send is acknowledged until its window is full. */
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
	/* acknowledgements may still be on their way */
	do {
		before = after;
		look(&pair, &view);
		assert_int_equal(ioctl(pair.one, SIOCOUTQ, &after), 0);
	} while (before != after);
	assert_true(after > 0);
	assert_int_equal(view.socket.outq, after);
	assert_true(view.socket.bytes_acked > 0);
	close_pair(&pair);
}

/* With both addresses the kernel looks it up; one that nobody has is found by the inode. */
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
	look(&pair, &view);
	assert_int_equal(view.socket.inq, 10);
	pair.h.local.addr[3] = 77;
	look(&pair, &view);
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
	look(&pair, &view);
	assert_int_equal(view.socket.ticks, 0);
	close(fd);
	pair.h.read.fd = 4000; /* closed */
	look(&pair, &view);
	assert_int_equal(view.socket.ticks, 0);
	close_pair(&pair);
}

/* The descriptor means another connection now. */
static void descriptor_used_again(void **state)
{
	struct kernel_view view;
	struct pair before, now;

	(void)state;
	tcp_pair(&before, AF_INET);
	tcp_pair(&now, AF_INET);
	assert_int_equal(dup2(now.one, before.one), before.one);
	look(&before, &view);
	assert_int_equal(view.socket.ticks, 0);
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
	look(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.inq, 55);
	assert_int_equal(view.socket.outq, 0);
	assert_int_equal(view.socket.tcp_state, 0);
	close(fds[0]);
	close(fds[1]);
}

/* For datagrams the kernel tells memory, not bytes: all that is known is none or some. */
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
	look(&pair, &view);
	assert_int_equal(view.socket.ticks, 1);
	assert_int_equal(view.socket.inq, 0);
	assert_int_equal(view.socket.tcp_state, 0);
	getsockname(pair.one, (void *)address, &size);
	assert_int_equal(connect(pair.other, (void *)address, size), 0);
	send_bytes(pair.other, 20);
	look(&pair, &view);
	assert_int_equal(view.socket.inq, UINT32_MAX);
	close_pair(&pair);
}

/* ---- children ------------------------------------------------------------------ */

struct child {
	pid_t pid;
	int say; /* closing it ends the child */
};

/* Runs `work` in a child; returns when it has called ready(). */
static int child_ready, child_end;

static void ready(void)
{
	char byte;

	if (write(child_ready, "", 1) != 1 || read(child_end, &byte, 1) < 0)
		_exit(1);
}

static struct child start(void (*work)(void *), void *argument)
{
	int up[2], down[2];
	struct child child;
	char byte;

	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(up[0]);
		close(down[1]);
		child_ready = up[1];
		child_end = down[0];
		work(argument);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	child.say = down[1];
	return child;
}

static void end(struct child *child)
{
	close(child->say);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

static bool become_nobody(void)
{
	return !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY);
}

/* Exit status of `ask` in a child, as nobody where we are root. */
static int ask_as_nobody(int (*ask)(pid_t), pid_t pid)
{
	pid_t asker = fork();
	int status = -1;

	if (!asker)
		_exit(geteuid() == 0 && !become_nobody() ? 99 : ask(pid));
	waitpid(asker, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- a descriptor that is not known ------------------------------------------ */

static void keep_pipes_and(int one, int other)
{
	for (int fd = 3; fd < 256; fd++) {
		if (fd != one && fd != other && fd != child_ready && fd != child_end)
			close(fd);
	}
}

static void hold(void *argument)
{
	const int *fds = argument;

	keep_pipes_and(fds[0], fds[1]);
	ready();
}

/* curl's BIO is its own: the only connection that fits is the one. */
static void only_connection(void **state)
{
	struct kernel_view view;
	struct pair pair, second;
	struct child child;

	(void)state;
	tcp_pair(&pair, AF_INET);
	tcp_pair(&second, AF_INET);
	send_bytes(pair.other, 500);
	send_bytes(pair.one, 300);
	child = start(hold, (int[]){pair.one, -1});
	pair.h.read = (struct tlstall_transport){.fd = -1, .bio_class = TLSTALL_BIO_CUSTOM};
	pair.h.peer = (struct tlstall_address){0};
	pair.h.tid = (uint32_t)child.pid;
	pair.h.bytes_in = 500;
	pair.h.bytes_out = 300;
	kernel_look(child.pid, &pair.h, &view);
	assert_int_equal(view.socket.inq, 500);
	assert_int_equal(view.peer.family, AF_INET);
	pair.h.bytes_in = 501;
	kernel_look(child.pid, &pair.h, &view);
	assert_int_equal(view.socket.ticks, 0);
	end(&child);

	child = start(hold, (int[]){pair.one, second.one});
	pair.h.bytes_in = pair.h.bytes_out = 0;
	kernel_look(child.pid, &pair.h, &view);
	assert_int_equal(view.socket.ticks, 0);
	end(&child);
	close_pair(&pair);
	close_pair(&second);
}

/* ---- another network -------------------------------------------------------------- */

struct elsewhere {
	struct pair pair; /* in memory that parent and child share */
	bool nobody;
	bool failed;
};

static void raise_loopback(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	ioctl(fd, SIOCSIFFLAGS, &request);
	close(fd);
}

static void go_elsewhere(void *argument)
{
	struct elsewhere *shared = argument;

	shared->failed = unshare(CLONE_NEWNET) != 0;
	if (!shared->failed) {
		raise_loopback();
		tcp_pair(&shared->pair, AF_INET);
		send_bytes(shared->pair.other, 321);
		shared->failed = shared->nobody && !become_nobody();
		prctl(PR_SET_DUMPABLE, 1);
		shared->pair.h.tid = (uint32_t)getpid();
	}
	ready();
}

static struct elsewhere *share(bool nobody)
{
	struct elsewhere *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(shared != MAP_FAILED);
	shared->nobody = nobody;
	return shared;
}

static void another_network(void **state)
{
	struct elsewhere *shared = share(false);
	struct child child = start(go_elsewhere, shared);
	struct kernel_view view;

	(void)state;
	if (!shared->failed) {
		kernel_look(child.pid, &shared->pair.h, &view);
		assert_int_equal(view.socket.inq, 321);
	}
	end(&child);
	if (shared->failed)
		skip();
	munmap(shared, sizeof(*shared));
}

static struct elsewhere *asked_elsewhere;

/* Same user, so the descriptors may be seen; but not entitled to enter the network. */
static int look_elsewhere(pid_t pid)
{
	struct kernel_view view;

	kernel_look(pid, &asked_elsewhere->pair.h, &view);
	return view.socket.ticks == 0 && view.wait == WAIT_OTHER_FD ? 0 : 1;
}

static void network_that_we_may_not_enter(void **state)
{
	struct child child;
	int answer = 0;

	(void)state;
	asked_elsewhere = share(true);
	child = start(go_elsewhere, asked_elsewhere);
	if (!asked_elsewhere->failed)
		answer = ask_as_nobody(look_elsewhere, child.pid);
	end(&child);
	if (asked_elsewhere->failed)
		skip();
	assert_int_equal(answer, 0);
	munmap(asked_elsewhere, sizeof(*asked_elsewhere));
}

/* ---- threads ------------------------------------------------------------------------ */

struct sleeper {
	void (*wait)(struct sleeper *);
	int fds[2]; /* a pipe: closing the write end wakes it */
	int epoll;
	pthread_mutex_t mutex;
	pid_t tid;
	bool stop;
};

static void *run_sleeper(void *argument)
{
	struct sleeper *sleeper = argument;

	__atomic_store_n(&sleeper->tid, gettid(), __ATOMIC_RELEASE);
	sleeper->wait(sleeper);
	return NULL;
}

static void in_read(struct sleeper *sleeper)
{
	char byte;

	assert_int_equal(read(sleeper->fds[0], &byte, 1), 0);
}

static void in_poll_of_one(struct sleeper *sleeper)
{
	struct pollfd one = {sleeper->fds[0], POLLIN, 0};

	poll(&one, 1, -1);
}

static void in_poll_of_two(struct sleeper *sleeper)
{
	struct pollfd two[] = {{sleeper->fds[0], POLLIN, 0}, {sleeper->fds[0], POLLPRI, 0}};

	poll(two, 2, -1);
}

static void in_epoll(struct sleeper *sleeper)
{
	struct epoll_event event = {.events = EPOLLIN};

	epoll_ctl(sleeper->epoll, EPOLL_CTL_ADD, sleeper->fds[0], &event);
	epoll_wait(sleeper->epoll, &event, 1, -1);
}

static void in_lock(struct sleeper *sleeper)
{
	pthread_mutex_lock(&sleeper->mutex);
	pthread_mutex_unlock(&sleeper->mutex);
}

static void in_sleep(struct sleeper *sleeper)
{
	struct timespec tick = {0, 200000000};

	while (!__atomic_load_n(&sleeper->stop, __ATOMIC_ACQUIRE))
		nanosleep(&tick, NULL);
}

static void in_loop(struct sleeper *sleeper)
{
	while (!__atomic_load_n(&sleeper->stop, __ATOMIC_ACQUIRE))
		;
}

/* Looks until the thread is where it is going; the last look after 10 s. */
static void look_until(const struct tlstall_handshake *h, pid_t pid, enum wait_kind kind,
		       struct kernel_view *out)
{
	const struct timespec pause = {0, 1000000};

	for (int i = 0; i < 10000; i++) {
		kernel_look(pid, h, out);
		if (out->wait == kind)
			return;
		nanosleep(&pause, NULL);
	}
}

enum { THE_PIPE, THE_EPOLL, ANOTHER };

static struct kernel_view look_at_sleeper(void (*wait)(struct sleeper *), bool own,
					  enum wait_kind kind)
{
	struct sleeper sleeper = {.wait = wait, .mutex = PTHREAD_MUTEX_INITIALIZER};
	struct tlstall_handshake h = {0};
	struct kernel_view view;
	pthread_t thread;

	assert_int_equal(pipe2(sleeper.fds, O_CLOEXEC), 0);
	sleeper.epoll = epoll_create1(EPOLL_CLOEXEC);
	pthread_mutex_lock(&sleeper.mutex);
	pthread_create(&thread, NULL, run_sleeper, &sleeper);
	while (!(h.tid = (uint32_t)__atomic_load_n(&sleeper.tid, __ATOMIC_ACQUIRE)))
		sched_yield();
	h.read.fd = own ? sleeper.fds[0] : sleeper.fds[1];
	look_until(&h, getpid(), kind, &view);
	if (view.fd >= 0)
		view.fd = view.fd == sleeper.fds[0]  ? THE_PIPE
			  : view.fd == sleeper.epoll ? THE_EPOLL
						     : ANOTHER;
	close(sleeper.fds[1]);
	pthread_mutex_unlock(&sleeper.mutex);
	__atomic_store_n(&sleeper.stop, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	close(sleeper.fds[0]);
	close(sleeper.epoll);
	return view;
}

static void threads_that_wait(void **state)
{
	static const struct {
		void (*wait)(struct sleeper *);
		bool own;
		enum wait_kind kind;
		const char *syscall;
		int fd;
	} rows[] = {
		{in_read, true, WAIT_ON_SOCKET, "read", THE_PIPE},
		{in_read, false, WAIT_OTHER_FD, "read", THE_PIPE},
#ifdef SYS_poll
		{in_poll_of_one, true, WAIT_ON_SOCKET, "poll", THE_PIPE},
		{in_poll_of_one, false, WAIT_OTHER_FD, "poll", THE_PIPE},
		{in_poll_of_two, true, WAIT_POLL, "poll", -1},
		{in_epoll, true, WAIT_POLL, "epoll_wait", THE_EPOLL},
#endif
		{in_lock, true, WAIT_FUTEX, "futex", -1},
		{in_sleep, true, WAIT_SLEEP, "clock_nanosleep", -1},
		{in_loop, true, WAIT_RUNNING, "", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kernel_view view = look_at_sleeper(rows[i].wait, rows[i].own, rows[i].kind);

		assert_int_equal(view.wait, rows[i].kind);
		assert_string_equal(view.syscall, rows[i].syscall);
		assert_int_equal(view.fd, rows[i].fd);
	}
}

static void just_ready(void *argument)
{
	(void)argument;
	ready();
}

static void stopped_and_gone(void **state)
{
	struct child child = start(just_ready, NULL);
	struct tlstall_handshake h = {.tid = (uint32_t)child.pid, .read = {.fd = -1}};
	struct kernel_view view;

	(void)state;
	kill(child.pid, SIGSTOP);
	look_until(&h, child.pid, WAIT_STOPPED, &view);
	assert_int_equal(view.wait, WAIT_STOPPED);
	kill(child.pid, SIGKILL);
	look_until(&h, child.pid, WAIT_GONE, &view); /* a zombie */
	assert_int_equal(view.wait, WAIT_GONE);
	end(&child);
	kernel_look(child.pid, &h, &view); /* no process at all */
	assert_int_equal(view.wait, WAIT_GONE);
	assert_int_equal(view.socket.ticks, 0);
}

static void facts_take_it_over(void **state)
{
	struct kernel_view view = {.socket = {.ticks = 1, .inq = 9},
				   .wait = WAIT_OTHER_FD,
				   .syscall = "read",
				   .fd = 4};
	struct facts facts = {.wait = WAIT_NOT_LOOKED};

	(void)state;
	kernel_add_facts(&view, &facts);
	assert_int_equal(facts.live.inq, 9);
	assert_int_equal(facts.wait, WAIT_OTHER_FD);
	assert_string_equal(facts.wait_syscall, "read");
	assert_int_equal(facts.wait_fd, 4);
	view.syscall[0] = '\0';
	kernel_add_facts(&view, &facts);
	assert_null(facts.wait_syscall);
}

/* ---- stacks ------------------------------------------------------------------------- */

/* A chain whose frames have names, and registers of their own to save. */
static __attribute__((noinline)) int innermost(int fd, volatile int *depth)
{
	char byte;
	int got = (int)read(fd, &byte, 1);

	return got + *depth;
}

static __attribute__((noinline)) int middle(int fd, int n)
{
	volatile int depth = n;
	int sum = innermost(fd, &depth);

	return sum + depth * n;
}

static void in_middle(struct sleeper *sleeper)
{
	assert_true(middle(sleeper->fds[0], 3) > 0);
}

/* Where in the frames a function comes, -1: nowhere. Children have our code at our addresses. */
static int frame_of(const struct unwound *unwound, const char *function)
{
	struct symbols *symbols = symbols_of_process(getpid());
	struct symbol symbol;
	int found = -1;

	for (unsigned i = 0; i < unwound->count && found < 0; i++) {
		if (symbols_find(symbols, unwound->frames[i], i > 0, &symbol) && symbol.function &&
		    !strncmp(symbol.function, function, strlen(function))) /* ".constprop.0" */
			found = (int)i;
	}
	symbols_free(symbols);
	return found;
}

static void check_chain(const struct unwound *unwound)
{
	int inner = frame_of(unwound, "innermost"), outer = frame_of(unwound, "middle");

	assert_true(unwound->whole);
	assert_true(inner >= 1 && outer == inner + 1);
	assert_true(frame_of(unwound, "main") > outer);
}

/* A child, since nobody may look at the stack of a thread of his own by ptrace. */
static void sleep_in_middle(void *argument)
{
	struct sleeper sleeper = {.wait = in_middle};

	(void)argument;
	if (write(child_ready, "", 1) != 1)
		_exit(1);
	sleeper.fds[0] = child_end;
	run_sleeper(&sleeper);
}

static void unwind_until_it_reads(struct unwinder *unwinder, pid_t tid, struct unwound *out)
{
	const struct timespec pause = {0, 1000000};

	for (int i = 0; i < 10000; i++) {
		assert_int_equal(unwind_thread(unwinder, tid, false, out), 0);
		if (out->place.where == THREAD_SYSCALL && out->place.number == SYS_read)
			return;
		nanosleep(&pause, NULL);
	}
}

/*
 * Sanitizers keep frame pointers, and their frames are found by that register
 * alone: from outside the kernel tells only the stack pointer.
 */
#ifdef __SANITIZE_ADDRESS__
#define TOLD_QUIETLY false
#else
#define TOLD_QUIETLY true
#endif

static void stack_of_a_blocked_thread(void **state)
{
	struct child child = start(sleep_in_middle, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound quietly, stopped;

	(void)state;
	assert_non_null(unwinder);
	unwind_until_it_reads(unwinder, child.pid, &quietly);
	assert_int_equal(unwind_thread(unwinder, child.pid, true, &stopped), 0);
	check_chain(&stopped);
	if (TOLD_QUIETLY) {
		check_chain(&quietly);
		/* by ptrace the same, frame for frame */
		assert_int_equal(quietly.count, stopped.count);
		assert_memory_equal(quietly.frames, stopped.frames,
				    stopped.count * sizeof(uint64_t));
	}
	/* It was let go. */
	unwind_until_it_reads(unwinder, child.pid, &quietly);
	assert_int_equal(quietly.place.number, SYS_read);
	unwind_close(unwinder);
	end(&child);
}

static void loop_for_ever(void *argument)
{
	(void)argument;
	if (write(child_ready, "", 1) != 1)
		_exit(1);
	for (volatile int i = 0;; i++)
		;
}

static void stack_of_a_running_thread(void **state)
{
	struct child child = start(loop_for_ever, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound unwound;

	(void)state;
	assert_non_null(unwinder);
	do {
		unwind_thread(unwinder, child.pid, false, &unwound);
	} while (unwound.place.where == THREAD_SYSCALL); /* still in its write() */
	assert_int_equal(unwound.place.where, THREAD_RUNNING);
	assert_int_equal(unwound.count, 0);
	assert_int_equal(unwind_thread(unwinder, child.pid, true, &unwound), 0);
	assert_int_equal(frame_of(&unwound, "loop_for_ever"), 0);
	unwind_close(unwinder);
	end(&child);
}

static void no_stack_of_the_gone(void **state)
{
	struct child child = start(just_ready, NULL);
	struct unwinder *unwinder = unwind_open(child.pid);
	struct unwound unwound;

	(void)state;
	assert_non_null(unwinder);
	end(&child);
	assert_int_equal(unwind_thread(unwinder, child.pid, false, &unwound), 0);
	assert_int_equal(unwound.place.where, THREAD_GONE);
	assert_int_equal(unwound.count, 0);
	assert_int_equal(unwind_thread(unwinder, child.pid, true, &unwound), -1);
	assert_null(unwind_open(child.pid));
	unwind_close(unwinder);
}

/* ---- permission ----------------------------------------------------------------------- */

static void access_to_our_own(void **state)
{
	struct child child = start(just_ready, NULL);
	char why[200] = "";

	(void)state;
	assert_int_equal(kernel_access(getpid(), why, sizeof(why)), 0);
	assert_int_equal(kernel_access(child.pid, why, sizeof(why)), 0);
	assert_string_equal(why, "");
	end(&child);
	assert_int_equal(kernel_access(child.pid, why, sizeof(why)), -1);
	assert_non_null(strstr(why, "there is no process"));
}

static int other_user_is_named(pid_t pid)
{
	struct tlstall_handshake h = {.tid = (uint32_t)pid, .read = {.fd = 0}};
	struct kernel_view view;
	char why[200];

	if (kernel_access(pid, why, sizeof(why)) != -1 || !strstr(why, "of user root"))
		return 1;
	kernel_look(pid, &h, &view);
	return view.socket.ticks == 0 && view.wait == WAIT_UNKNOWN ? 0 : 2;
}

/* Process 1 is root's, and asleep. */
static void another_user(void **state)
{
	(void)state;
	assert_int_equal(ask_as_nobody(other_user_is_named, 1), 0);
}

static void hide(void *argument)
{
	(void)argument;
	if (geteuid() == 0 && !become_nobody())
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0);
	ready();
}

static int hidden_is_said(pid_t pid)
{
	char why[200];

	return kernel_access(pid, why, sizeof(why)) == -1 && strstr(why, "not dumpable") ? 0 : 1;
}

static void not_dumpable(void **state)
{
	struct child child = start(hide, NULL);

	(void)state;
	assert_int_equal(ask_as_nobody(hidden_is_said, child.pid), 0);
	end(&child);
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
		cmocka_unit_test(another_network),
		cmocka_unit_test(network_that_we_may_not_enter),
		cmocka_unit_test(threads_that_wait),
		cmocka_unit_test(stopped_and_gone),
		cmocka_unit_test(facts_take_it_over),
		cmocka_unit_test(stack_of_a_blocked_thread),
		cmocka_unit_test(stack_of_a_running_thread),
		cmocka_unit_test(no_stack_of_the_gone),
		cmocka_unit_test(access_to_our_own),
		cmocka_unit_test(another_user),
		cmocka_unit_test(not_dumpable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
