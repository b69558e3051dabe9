/* SPDX-License-Identifier: Apache-2.0 */
/* What threads of a live process wait for: this process's, and children's. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "unit/children.h"

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

/* Looks until the thread is where it should be; gives up after 10 s. */
static void look_until(const struct tlstall_handshake *h, pid_t pid, enum tlstall_wait kind,
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
					  enum tlstall_wait kind)
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
		enum tlstall_wait kind;
		const char *syscall;
		int fd;
	} rows[] = {
		{in_read, true, TLSTALL_WAIT_ON_SOCKET, "read", THE_PIPE},
		{in_read, false, TLSTALL_WAIT_OTHER_FD, "read", THE_PIPE},
#ifdef SYS_poll
		{in_poll_of_one, true, TLSTALL_WAIT_ON_SOCKET, "poll", THE_PIPE},
		{in_poll_of_one, false, TLSTALL_WAIT_OTHER_FD, "poll", THE_PIPE},
		{in_poll_of_two, true, TLSTALL_WAIT_POLL, "poll", -1},
		{in_epoll, true, TLSTALL_WAIT_POLL, "epoll_wait", THE_EPOLL},
#endif
		{in_lock, true, TLSTALL_WAIT_FUTEX, "futex", -1},
		{in_sleep, true, TLSTALL_WAIT_SLEEP, "clock_nanosleep", -1},
		{in_loop, true, TLSTALL_WAIT_RUNNING, "", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kernel_view view = look_at_sleeper(rows[i].wait, rows[i].own, rows[i].kind);

		assert_int_equal(view.wait, rows[i].kind);
		assert_string_equal(view.syscall, rows[i].syscall);
		assert_int_equal(view.fd, rows[i].fd);
	}
}

static void wait_in_poll(void *fd)
{
	struct pollfd one = {*(int *)fd, POLLIN, 0};

	child_say_ready();
	poll(&one, 1, 60000);
}

static void wait_in_sleep(void *unused)
{
	const struct timespec minute = {60, 0};

	(void)unused;
	child_say_ready();
	nanosleep(&minute, NULL);
}

/* A stop makes restart_syscall of a wait with a time limit. */
static void a_wait_that_was_stopped(void **state)
{
	static const struct {
		void (*work)(void *);
		enum tlstall_wait kind;
		const char *syscall;
	} rows[] = {
#ifdef SYS_poll
		{wait_in_poll, TLSTALL_WAIT_ON_SOCKET, "poll"},
#endif
		{wait_in_sleep, TLSTALL_WAIT_SLEEP, "clock_nanosleep"},
	};
	int fds[2];

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct child child = child_start(rows[i].work, &fds[0]);
		struct tlstall_handshake h = {.tid = (uint32_t)child.pid, .read = {.fd = fds[0]}};
		struct kernel_view view;

		look_until(&h, child.pid, rows[i].kind, &view);
		kill(child.pid, SIGSTOP);
		look_until(&h, child.pid, TLSTALL_WAIT_STOPPED, &view);
		kill(child.pid, SIGCONT);
		look_until(&h, child.pid, rows[i].kind, &view);
		assert_int_equal(view.wait, rows[i].kind);
		assert_string_equal(view.syscall, rows[i].syscall);
		child_kill(&child);
	}
	close(fds[0]);
	close(fds[1]);
}

static void stopped_and_gone(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	struct tlstall_handshake h = {.tid = (uint32_t)child.pid, .read = {.fd = -1}};
	struct kernel_view view;

	(void)state;
	kill(child.pid, SIGSTOP);
	look_until(&h, child.pid, TLSTALL_WAIT_STOPPED, &view);
	assert_int_equal(view.wait, TLSTALL_WAIT_STOPPED);
	kill(child.pid, SIGKILL);
	look_until(&h, child.pid, TLSTALL_WAIT_GONE, &view); /* a zombie */
	assert_int_equal(view.wait, TLSTALL_WAIT_GONE);
	child_kill(&child);
	kernel_look(child.pid, &h, &view); /* no process at all */
	assert_int_equal(view.wait, TLSTALL_WAIT_GONE);
	assert_int_equal(view.socket.ticks, 0);
}

static void *do_nothing(void *tid)
{
	__atomic_store_n((pid_t *)tid, gettid(), __ATOMIC_RELEASE);
	return NULL;
}

static void a_thread_has_ended(void **state)
{
	struct tlstall_handshake h = {.read = {.fd = -1}};
	struct kernel_view view;
	pthread_t thread;
	pid_t tid = 0;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, do_nothing, &tid), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	h.tid = (uint32_t)tid;
	look_until(&h, getpid(), TLSTALL_WAIT_ENDED, &view);
	assert_int_equal(view.wait, TLSTALL_WAIT_ENDED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_that_wait),
		cmocka_unit_test(a_wait_that_was_stopped),
		cmocka_unit_test(stopped_and_gone),
		cmocka_unit_test(a_thread_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
