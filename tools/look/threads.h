/* SPDX-License-Identifier: Apache-2.0 */
/* The threads of a process, and which SSL object each is at. */
#ifndef TOOLS_LOOK_THREADS_H
#define TOOLS_LOOK_THREADS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "kernel/unwind.h"
#include "look/library.h"
#include "look/regions.h"
#include "look/ssl_object.h"

struct process_thread {
	pid_t tid, own; /* its id here; in its own namespace */
	struct unwound unwound;
	int in_library; /* the outermost frame that is libssl's: what was called; -1: none */
	enum op op;	/* which of its functions that is; OPS: not known */
};

struct process_threads {
	pid_t pid;
	int memory;
	struct process_thread *list;
	unsigned count;
};

/* -1 with errno. */
int threads_read(pid_t pid, int memory, const struct libraries *libraries,
		 struct process_threads *out);
void threads_free(struct process_threads *threads);

/*
 * Which one works on each object, or waits for it: an index, -1: not known. `inside`: it
 * is in a call. Objects whose handshake is over are left out. `fds`: the descriptor of
 * each object's socket, -1: not known.
 */
void threads_join(const struct process_threads *threads, const struct libraries *libraries,
		  const struct regions *regions, const struct ssl_object *objects,
		  const int *fds, unsigned count, int *out, bool *inside);

#endif
