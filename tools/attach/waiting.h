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

/* Whether a waiting thread is in that code; a running one cannot be seen. */
bool waiting_in(pid_t pid, uint64_t start, uint64_t end);

#endif
