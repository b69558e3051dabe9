/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows all traces of some directories for a long time, at low cost: reports handshakes when
 * everything is known about them, and those that hang on request. Does not read calls: for those
 * see run/follow.h. Never prints.
 */
#ifndef TOOLS_LIVE_TAIL_H
#define TOOLS_LIVE_TAIL_H

#include <stdbool.h>

#include "diagnosis/facts.h"
#include "live/watches.h"
#include "view/subject.h"

/* One trace. */
struct tailed {
	char *path;
	struct trace *trace; /* NULL: over, and all was read; or it cannot be read */
	struct trace_cursor *cursor;
	struct watches watches;
	struct neighbors *neighbors;	   /* as long as its handshakes are judged */
	uint64_t opening, history, begun;  /* of its header, when it was read last */
	uint64_t alive_ns;		   /* CLOCK_MONOTONIC when its processes were asked for */
	uint64_t lost;			   /* reported so far */
	uint64_t left_ns; /* since the epoch: its last sign of life, if it was over already; or 0 */
	pid_t pid;
	uint32_t image;
	unsigned processes; /* alive then */
	bool failed;	    /* cannot be read */
	bool listed;	    /* it is still in its directory */
	bool over;	    /* nobody writes it any more */
};

struct tail_sink {
	/* `from` is open; `view` NULL: the kernel was not asked */
	void (*handshake)(void *context, struct tailed *from, const struct tlstall_handshake *h,
			  const struct kernel_view *view);
	/* records that were overwritten before they were read */
	void (*lost)(void *context, uint64_t count);
	void *context;
};

struct tail {
	const struct tail_sink *sink;
	char **only;	   /* directories that were named; NULL: all where traces may lie */
	uint64_t since_ns; /* since the epoch: handshakes that ended before are left out */

	char **places;	      /* directories */
	uint64_t changed;     /* what their times of change come to */
	uint64_t listed_ns;   /* CLOCK_MONOTONIC when they were listed; 0: never */
	struct tailed **list; /* the first `sorted` of them by path */
	size_t count, room, sorted;
	unsigned processes;  /* traced, alive */
	unsigned untraced;   /* alive, with a note why they could not be traced */
	unsigned unreadable; /* traces */
	bool polled;	     /* once, at least */
};

/* Looks at all of them. Call it about once a second. */
void tail_poll(struct tail *tail);
/* Reports those that have ended although more may be told of them. */
void tail_settle(struct tail *tail);
void tail_close(struct tail *tail);

/*
 * Judged as it is in `h`; `whole`: all of the trace may be read, for the neighbors. Do not copy the
 * subject.
 */
void tail_judge(struct tailed *from, const struct tlstall_handshake *h,
		const struct kernel_view *view, bool whole, struct subject *out);
/* Frees what was read of a trace in order to judge. */
void tail_forget_reading(struct tailed *from);

#endif
