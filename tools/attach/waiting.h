/* SPDX-License-Identifier: Apache-2.0 */
/* A waiting thread that may be sent through the stub. */
#ifndef TOOLS_ATTACH_WAITING_H
#define TOOLS_ATTACH_WAITING_H

#include "attach/program.h"

struct waiting {
	pid_t tid;
	struct thread_place place;
};

/* False: there is none now; `what`: why the last one was rejected. */
bool waiting_find(struct program *program, struct waiting *out, const char **what);

/*
 * Whether a thread that waits there goes on waiting if it is stopped in between, by the kernel or
 * by being made to call again; and whether that may be done after that system call.
 */
bool waiting_resumes(const struct thread_place *place);
bool waiting_is_resumed(long number);

/*
 * Whether the thread, or any of them, may be in that code or return there: it may run it, or a handler of a
 * signal that interrupted it.
 */
struct code {
	uint64_t start, end;
};
bool waiting_may_return(const struct program *program, pid_t tid, struct code code);
bool waiting_any_may_return(const struct program *program, struct code code);

#endif
