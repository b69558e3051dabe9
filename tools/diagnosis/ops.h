/* SPDX-License-Identifier: Apache-2.0 */
/* The ops of a trace by thread and time: what a thread did while a handshake waited. */
#ifndef TOOLS_DIAGNOSIS_OPS_H
#define TOOLS_DIAGNOSIS_OPS_H

#include <stdbool.h>
#include <stddef.h>

#include "trace/reader.h"

/* One op: which thread worked on which object when it returned. Times are ticks. */
struct op {
	uint64_t end;
	uint64_t busy;	/* inside ops of this thread, from its first one to this one's end */
	uint32_t ended; /* handshakes of this thread up to there */
	uint64_t ssl;
	uint64_t asked; /* end of the op before it on the same object, if that asked to wait; else 0
			 */
	uint32_t tid;
	uint16_t process;
	bool waits; /* it asked to wait */
};

/* The op of a block after which the thread rested longest, and how long. */
struct widest {
	size_t at;
	uint64_t rest;
};

struct ops {
	struct op *list; /* by process, thread, end */
	size_t count;
	struct widest *widest; /* for each block of ops */
};

struct span {
	uint64_t from, to;
};

int ops_read(struct trace *trace, struct ops *ops); /* an enum trace_error */
void ops_free(struct ops *ops);

/* The first op of a thread that did not end before `end`. */
size_t ops_find(const struct ops *ops, const struct tlstall_handshake *thread_of, uint64_t end);
/* The same from `first` on, which is one of its: quick if the answer lies near to that. */
size_t ops_find_after(const struct ops *ops, size_t first,
		      const struct tlstall_handshake *thread_of, uint64_t end);

/* How many of the ops from `first` up to before `last` are on `ssl`. */
size_t ops_on(const struct ops *ops, size_t first, size_t last, uint64_t ssl);

/*
 * How often, at least, the thread waited for events between these ops since `from`: an object that
 * is called again after it asked to wait was called because of a new event. Counts up to `most`.
 */
unsigned ops_polls(const struct ops *ops, size_t first, size_t last, uint64_t from, unsigned most);

/* The longest time within `in` in which none of these ops of one thread ended. */
struct span ops_hole(const struct ops *ops, size_t first, size_t last, struct span in);

#endif
