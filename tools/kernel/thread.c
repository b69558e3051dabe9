/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "now.h"

/* Returns -1 with errno. The buffer is always terminated. */
static ssize_t read_task(pid_t pid, pid_t tid, const char *name, char *buffer, size_t size)
{
	char path[64];
	ssize_t got;
	int fd;

	buffer[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", pid, tid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	got = read(fd, buffer, size - 1);
	buffer[got > 0 ? got : 0] = '\0';
	close(fd);
	return got;
}

/* From linux/sched.h: it is ending, and may have closed its descriptors already. */
#define PF_EXITING 0x4u

/*
 * 'X' as soon as the thread begins to end, since its descriptors are gone before the kernel calls
 * it a zombie. The command name may contain anything, including parentheses.
 */
static char read_state(pid_t pid, pid_t tid)
{
	char text[512], state;
	const char *after;
	unsigned flags;

	if (read_task(pid, tid, "stat", text, sizeof(text)) <= 0)
		return 0;
	after = strrchr(text, ')');
	if (!after || sscanf(after, ") %c %*d %*d %*d %*d %*d %u", &state, &flags) != 2)
		return 0;
	return flags & PF_EXITING ? 'X' : state;
}

static bool is_gone(char state)
{
	return !state || state == 'Z' || state == 'X';
}

static void parse_place(const char *text, struct thread_place *out)
{
	uint64_t *a = out->arguments;

	if (!strncmp(text, "running", 7)) {
		out->where = THREAD_RUNNING;
	} else if (sscanf(text, "-1 %" SCNx64 " %" SCNx64, &out->sp, &out->pc) == 2) {
		out->where = THREAD_BLOCKED;
	} else if (sscanf(text,
			  "%ld %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64 " %" SCNx64
			  " %" SCNx64 " %" SCNx64,
			  &out->number, &a[0], &a[1], &a[2], &a[3], &a[4], &a[5], &out->sp,
			  &out->pc) == 9) {
		out->where = THREAD_SYSCALL;
	}
}

static bool is_poll(long number)
{
#ifdef SYS_poll
	if (number == SYS_poll)
		return true;
#endif
	return number == SYS_ppoll;
}

/* The descriptor, if it may be in a poll() of a single one. */
static int polled(pid_t pid, const struct thread_place *place)
{
	struct pollfd one;
	struct iovec here = {&one, sizeof(one)};
	struct iovec there = {(void *)(uintptr_t)place->arguments[0], sizeof(one)};

	if (!is_poll(place->number) && place->number != SYS_restart_syscall)
		return -1;
	if (place->arguments[1] != 1 ||
	    process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)sizeof(one))
		return -1;
	return one.fd;
}

void thread_look(pid_t pid, pid_t tid, struct thread_place *out)
{
	char text[256];

	*out = (struct thread_place){.where = THREAD_DENIED, .number = -1, .polled = -1};
	out->state = read_state(pid, tid);
	if (is_gone(out->state)) {
		out->where = THREAD_GONE;
		return;
	}
	if (read_task(pid, tid, "syscall", text, sizeof(text)) > 0)
		parse_place(text, out);
	else if (errno == ENOENT || errno == ESRCH)
		out->where = THREAD_GONE;
	out->polled = polled(pid, out);
}

uint64_t thread_waits(pid_t pid, pid_t tid)
{
	char text[4096];
	const char *line;

	if (read_task(pid, tid, "status", text, sizeof(text)) <= 0 ||
	    !(line = strstr(text, "\nvoluntary_ctxt_switches:")))
		return 0;
	return strtoull(strchr(line, ':') + 1, NULL, 10);
}

/* ---- what it has used ------------------------------------------------------- */

void thread_account(pid_t pid, pid_t tid, struct kernel_view *out)
{
	const uint64_t tick_ns = 1000000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	uint64_t user, system, run, delay;
	unsigned threads;
	char text[512];
	const char *after;

	if (read_task(pid, tid, "stat", text, sizeof(text)) <= 0 || !(after = strrchr(text, ')')) ||
	    sscanf(after,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		   " %*d %*d %*d %*d %u",
		   &user, &system, &threads) != 3)
		return;
	out->threads = threads;
	out->used = (struct cpu_share){.ns = (user + system) * tick_ns,
				       .ran_ns = (user + system) * tick_ns,
				       .system_ns = system * tick_ns,
				       .over_ns = now_ns(CLOCK_MONOTONIC)};
	/* more precise, and includes the time it waited for a CPU, if the kernel keeps it */
	if (read_task(pid, tid, "schedstat", text, sizeof(text)) > 0 &&
	    sscanf(text, "%" SCNu64 " %" SCNu64, &run, &delay) == 2 && run)
		out->used.ns = run + delay;
}

/* ---- what it waits for ------------------------------------------------------ */

/* newer than the C library of Debian 11; the same number on every architecture */
#ifndef SYS_openat2
#define SYS_openat2 437
#endif
#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

enum { TLSTALL_WAIT_ON_FD = -1 }; /* not in the trace: the descriptor decides */

static const struct {
	long number;
	char name[24];
	int kind;
	int fd;
} syscalls[] = {
#define SYSCALL(name, kind, fd) {SYS_##name, #name, TLSTALL_WAIT_##kind, fd},
#include "kernel/syscalls.def"
#undef SYSCALL
};

static bool is_random(pid_t pid, int fd)
{
	char path[64], target[32];
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	size = readlink(path, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = '\0';
	return !strcmp(target, "/dev/random") || !strcmp(target, "/dev/urandom");
}

static enum tlstall_wait kind_of_fd(pid_t pid, int fd, int own_fd)
{
	if (fd == own_fd && fd >= 0)
		return TLSTALL_WAIT_ON_SOCKET;
	return is_random(pid, fd) ? TLSTALL_WAIT_RANDOM : TLSTALL_WAIT_OTHER_FD;
}

static void wait_in_syscall(pid_t pid, const struct thread_place *place, int own_fd,
			    struct kernel_view *out)
{
	for (size_t i = 0; i < sizeof(syscalls) / sizeof(syscalls[0]); i++) {
		if (syscalls[i].number != place->number)
			continue;
		memcpy(out->syscall, syscalls[i].name, sizeof(out->syscall));
		if (syscalls[i].fd >= 0)
			out->fd = (int)place->arguments[syscalls[i].fd];
		else if (is_poll(place->number))
			out->fd = place->polled;
		if (syscalls[i].kind == TLSTALL_WAIT_ON_FD ||
		    (is_poll(place->number) && out->fd >= 0))
			out->wait = kind_of_fd(pid, out->fd, own_fd);
		else
			out->wait = (enum tlstall_wait)syscalls[i].kind;
		out->private_lock =
			out->wait == TLSTALL_WAIT_FUTEX && place->arguments[1] & FUTEX_PRIVATE_FLAG;
		return;
	}
	snprintf(out->syscall, sizeof(out->syscall), "syscall %ld", place->number);
	out->wait = TLSTALL_WAIT_UNKNOWN;
}

/*
 * `wchan`, the kernel function that sleeps, may be readable where `syscall` is not. It names no
 * descriptor.
 */
static enum tlstall_wait wait_by_wchan(pid_t pid, pid_t tid)
{
	static const struct {
		const char *prefix;
		enum tlstall_wait kind;
	} functions[] = {
		{"futex_", TLSTALL_WAIT_FUTEX},
		{"ep_poll", TLSTALL_WAIT_POLL},
		{"do_poll", TLSTALL_WAIT_POLL},
		{"do_sys_poll", TLSTALL_WAIT_POLL},
		{"do_select", TLSTALL_WAIT_POLL},
		{"poll_schedule_timeout", TLSTALL_WAIT_POLL},
		{"do_epoll_wait", TLSTALL_WAIT_POLL},
		{"hrtimer_nanosleep", TLSTALL_WAIT_SLEEP},
		{"do_nanosleep", TLSTALL_WAIT_SLEEP},
		{"common_nsleep", TLSTALL_WAIT_SLEEP},
		{"wait_for_random_bytes", TLSTALL_WAIT_RANDOM},
	};
	char text[64];

	if (read_task(pid, tid, "wchan", text, sizeof(text)) <= 0)
		return TLSTALL_WAIT_UNKNOWN;
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (!strncmp(text, functions[i].prefix, strlen(functions[i].prefix)))
			return functions[i].kind;
	}
	return TLSTALL_WAIT_UNKNOWN;
}

void thread_resumed(pid_t pid, pid_t tid, struct thread_place *place)
{
	enum tlstall_wait wait;
	char text[64];

	if (place->where != THREAD_SYSCALL || place->number != SYS_restart_syscall)
		return;
	wait = wait_by_wchan(pid, tid);
	/* resuming a sleep is the last step of each function on the way, which leaves no other trace */
	if (wait == TLSTALL_WAIT_UNKNOWN && read_task(pid, tid, "wchan", text, sizeof(text)) > 0 &&
	    (!strncmp(text, "do_syscall_64", 13) || strstr(text, "_sys_restart_syscall") ||
	     !strncmp(text, "invoke_syscall", 14)))
		wait = TLSTALL_WAIT_SLEEP;
	switch (wait) {
#ifdef SYS_poll
	case TLSTALL_WAIT_POLL:
		place->number = SYS_poll;
		break;
#endif
	case TLSTALL_WAIT_FUTEX:
		place->number = SYS_futex;
		break;
	case TLSTALL_WAIT_SLEEP:
		place->number = SYS_clock_nanosleep;
		break;
	default:
		break;
	}
}

static bool is_interruptible(enum tlstall_wait wait)
{
	return wait == TLSTALL_WAIT_ON_SOCKET || wait == TLSTALL_WAIT_POLL ||
	       wait == TLSTALL_WAIT_FUTEX || wait == TLSTALL_WAIT_SLEEP;
}

/*
 * Paused by the freezer of its cgroup. That of version 1 leaves it where it is, but as
 * uninterruptible; that of version 2 takes it to where signals are delivered.
 */
static bool is_frozen(pid_t pid, pid_t tid, const struct thread_place *place,
		      enum tlstall_wait wait)
{
	char text[64];

	if (place->where != THREAD_SYSCALL || !is_interruptible(wait))
		return false;
	if (place->state != 'S')
		return place->state == 'D';
	return read_task(pid, tid, "wchan", text, sizeof(text)) > 0 &&
	       (!strcmp(text, "get_signal") || !strcmp(text, "do_freezer_trap"));
}

/*
 * Whether only this thread has ended. If the process was killed, the others follow within this
 * time.
 */
static bool lives_on(pid_t pid, pid_t tid)
{
	const struct timespec soon = {.tv_nsec = 10000000};

	if (tid == pid || is_gone(read_state(pid, pid)))
		return false;
	nanosleep(&soon, NULL);
	return !is_gone(read_state(pid, pid));
}

void thread_wait_at(pid_t pid, pid_t tid, const struct thread_place *seen, int own_fd,
		    struct kernel_view *out)
{
	struct thread_place place = *seen;

	out->wait = TLSTALL_WAIT_UNKNOWN;
	out->syscall[0] = '\0';
	out->fd = -1;
	out->own_fd = own_fd;
	out->private_lock = false;
	if (place.where == THREAD_GONE) {
		out->wait = lives_on(pid, tid) ? TLSTALL_WAIT_ENDED : TLSTALL_WAIT_GONE;
		return;
	}
	thread_resumed(pid, tid, &place);
	if (place.where == THREAD_SYSCALL)
		wait_in_syscall(pid, &place, own_fd, out);
	if (place.state == 'T' || place.state == 't' || is_frozen(pid, tid, &place, out->wait))
		out->wait = TLSTALL_WAIT_STOPPED;
	else if (place.where == THREAD_RUNNING || place.state == 'R')
		out->wait = TLSTALL_WAIT_RUNNING;
	else if (place.where == THREAD_DENIED)
		out->wait = wait_by_wchan(pid, tid);
}

void thread_wait(pid_t pid, pid_t tid, int own_fd, struct kernel_view *out)
{
	struct thread_place place;

	thread_look(pid, tid, &place);
	thread_wait_at(pid, tid, &place, own_fd, out);
}
