/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stack of a thread of another process, which is not stopped and notices
 * nothing: stack pointer and program counter of a blocked thread are told by
 * the kernel, its memory is read, and unwind tables are in its memory.
 *
 * Other registers are not told, so a stack may break off in code that keeps
 * its frame in one and was not called through code that saved it. With ptrace
 * all registers are there and a running thread can be seen, but the thread is
 * stopped for that moment, which some system calls return EINTR for.
 */
#ifndef TOOLS_KERNEL_UNWIND_H
#define TOOLS_KERNEL_UNWIND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/thread.h"

#define UNWIND_FRAMES 128

struct unwound {
	struct thread_place place;
	uint64_t frames[UNWIND_FRAMES]; /* where it is, then return addresses */
	unsigned count;			/* 0: it runs, is gone, or we may not look */
	bool whole;			/* down to the thread's first function */
};

struct unwinder;

/* NULL with errno. */
struct unwinder *unwind_open(pid_t pid);
void unwind_close(struct unwinder *unwinder);

/* `stop`: use ptrace. -1 with errno if that fails; other problems are in `out`. */
int unwind_thread(struct unwinder *unwinder, pid_t tid, bool stop, struct unwound *out);

#endif
