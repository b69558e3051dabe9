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

/* Judged as it ended. Do not copy the subject. */
void tail_judge(struct tailed *from, const struct tlstall_handshake *h,
		const struct kernel_view *view, struct subject *out);

/* Those that living processes have not finished. */
struct tail_flight {
	unsigned count[3];  /* by enum tlstall_role */
	uint64_t oldest_ns; /* its age, 0: there is none */
};
void tail_flight(const struct tail *tail, struct tail_flight *out);
/* Each of them, judged as it stands. */
void tail_in_flight(struct tail *tail, void (*each)(void *context, const struct subject *subject),
		    void *context);
/* The oldest first, until `each` has enough; also those that have ended and are still to be reported. */
void tail_unreported(struct tail *tail, bool (*each)(void *context, const struct subject *subject),
		     void *context);
/*
 * How many of them are in trouble, by cause, and whose fault that is. A verdict on one that hangs
 * may be as old as its handshake was then, a minute at most; one that was not judged yet counts as
 * UNKNOWN.
 */
struct tail_stalled {
	unsigned causes[CAUSE_COUNT];
	enum fault faults[CAUSE_COUNT];
};
void tail_stalled(struct tail *tail, struct tail_stalled *out);

#endif
