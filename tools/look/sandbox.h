/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls functions of another process on a private copy of its memory, in a child
 * that can do nothing else: see stub.h. The process itself is only read.
 *
 * The child has that process's user and groups, no capability, no descriptor but
 * the channel, limits on memory and CPU, and a seccomp filter under which it can
 * read and write the channel, map the page that is missing, return from a signal and
 * exit. It is given a deadline for each call and one for all. What it answers is a
 * number that means what the other process's code wants it to mean: check it.
 */
#ifndef TOOLS_LOOK_SANDBOX_H
#define TOOLS_LOOK_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

#include "look/regions.h"

struct sandbox;

enum sandbox_result {
	SANDBOX_RETURNED,
	SANDBOX_FAULT,	 /* it met a signal: value */
	SANDBOX_SYSCALL, /* it asked for a system call: value */
	SANDBOX_LATE,	 /* it took too long, or too much */
	SANDBOX_DIED,
	SANDBOX_REFUSED, /* no child may be made (any more): errno */
};

/* NULL with errno. `regions` must outlive it. */
struct sandbox *sandbox_open(pid_t pid, int memory, const struct regions *regions);
void sandbox_close(struct sandbox *sandbox);

enum sandbox_result sandbox_call(struct sandbox *sandbox, uint64_t function, uint64_t first,
				 uint64_t second, uint64_t *value);

/* The next call finds the memory as it is in the process: earlier writes are discarded. */
void sandbox_renew(struct sandbox *sandbox);

#endif
