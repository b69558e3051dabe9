/* SPDX-License-Identifier: Apache-2.0 */
/* Where a thread of another process is, from /proc; the process notices nothing. */
#ifndef TOOLS_KERNEL_THREAD_H
#define TOOLS_KERNEL_THREAD_H

#include <stdint.h>
#include <sys/types.h>

#include "kernel/kernel.h"

enum thread_where {
	THREAD_GONE,
	THREAD_DENIED,	/* alive, but we may not ask */
	THREAD_RUNNING, /* on CPU, or about to be */
	THREAD_SYSCALL, /* blocked inside a system call */
	THREAD_BLOCKED, /* blocked elsewhere: a page fault, or stopped in its own code */
};

struct thread_place {
	enum thread_where where;
	char state; /* of /proc/PID/stat, 0: not known */
	long number; /* of the system call */
	uint64_t arguments[6];
	int polled;	     /* poll() of this descriptor alone, -1: not that */
	uint64_t sp, pc; /* SYSCALL and BLOCKED: user space's */
};

void thread_look(pid_t pid, pid_t tid, struct thread_place *out);
/* How often it has begun to wait for anything; 0: not known. */
uint64_t thread_waits(pid_t pid, pid_t tid);
/*
 * A wait with a time limit that was stopped meanwhile goes on as restart_syscall, with its arguments where
 * they were: puts the number of its call back, if it is known.
 */
void thread_resumed(pid_t pid, pid_t tid, struct thread_place *place);

/* What it waits for. `own_fd`: the SSL's descriptor, -1: not known. Leaves the socket alone. */
void thread_wait(pid_t pid, pid_t tid, int own_fd, struct kernel_view *out);
/* What it waited for when it was at that place. */
void thread_wait_at(pid_t pid, pid_t tid, const struct thread_place *place, int own_fd,
		    struct kernel_view *out);

/* Its CPU time, and the number of threads. */
void thread_account(pid_t pid, pid_t tid, struct kernel_view *out);

#endif
