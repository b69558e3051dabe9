/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Follows the traces that appear in a directory while their processes run:
 * events come out in the order of their time, handshakes when all is known of
 * them.
 */
#ifndef TOOLS_RUN_FOLLOW_H
#define TOOLS_RUN_FOLLOW_H

#include <stdbool.h>
#include <sys/types.h>

#include "kernel/kernel.h"
#include "run/drain.h"
#include "run/merge.h"
#include "live/watches.h"
#include "symbols/symbols.h"

/* One trace. */
struct followed {
	struct followed *next;
	char *path;
	pid_t pid;
	uint32_t image;
	struct trace *trace; /* NULL: not complete yet */
	struct drain *drain; /* its events */
	struct watches watches;
	struct looks looks;	 /* to be kept with it */
	struct symbols *symbols; /* made when they are first needed */
	bool symbols_made;
	struct neighbors *neighbors; /* read again when they are too old */
	uint64_t neighbors_ns;	       /* ... CLOCK_MONOTONIC */
	uint64_t neighbors_cost_ns;    /* ... how long it took */
	size_t queued;		       /* its events in the merge */
	uint64_t lost;		       /* of the cursor, reported so far */
	uint64_t last_ns;	       /* of its latest event */
	uint64_t clock_ns;	       /* CLOCK_MONOTONIC: when trace_set_now() was called */
	uint64_t alive_ns;	       /* ... and we asked whether its processes live */
	uint64_t scan_ns;	       /* ... and its handshakes were scanned */
	bool unread;		       /* the last attempt to read it failed */
	bool unread_told;
	bool over;		       /* nobody writes it any more */
	bool drained;		       /* ... and all was read, or nothing ever will be */
};

struct symbols *followed_symbols(struct followed *followed);
/* What the trace tells of its handshakes together; NULL: cannot be read. */
const struct neighbors *followed_neighbors(struct followed *followed);
/* The handshake of an event: in the file, else in hand; false: gone. */
bool followed_handshake(const struct followed *followed, const struct tlstall_event *event,
			struct tlstall_handshake *out);

struct follow_sink {
	void (*call)(void *context, struct followed *from, const struct tlstall_event *event,
		     uint64_t ns);
	void (*handshake)(void *context, struct followed *from, const struct tlstall_handshake *h,
			  const struct kernel_view *view);
	void (*lost)(void *context, struct followed *from, uint64_t count);
	/* A trace is complete: settings that its process refused are in its header. */
	void (*opened)(void *context, struct followed *from);
	/* It is about to be closed. */
	void (*closing)(void *context, struct followed *from);
	/* A process runs untraced; `reason` is an errno name, or says why a file cannot be read. */
	void (*failed)(void *context, pid_t pid, const char *reason);
	/* A trace cannot be read, for now at least; once for each. */
	void (*unread)(void *context, struct followed *from, const char *why);
	void *context;
};

struct follow {
	const char *directory;
	int notify; /* an inotify descriptor, to be polled */
	bool keep;  /* the files */
	bool late;  /* readers of records may wait longer for better order */
	bool ending;
	const struct follow_sink *sink;
	struct followed *traces;
	struct merge merge;
	struct drains drains;
	uint64_t busy_ns; /* CLOCK_MONOTONIC: when many events had come at once */
	unsigned seen;	  /* traces so far */
};

/* Before the program starts. -1 with errno. */
int follow_open(struct follow *follow, const char *directory, const struct follow_sink *sink);
/* Reads what is new, gives out what is due. */
void follow_poll(struct follow *follow);
/* How long poll(2) may wait, milliseconds; -1: until something happens. */
int follow_timeout(const struct follow *follow);
/* Whether a process that is traced has a handshake in flight. */
bool follow_in_flight(const struct follow *follow);
/* Reads the rest, gives out everything. */
void follow_finish(struct follow *follow);
void follow_close(struct follow *follow);

#endif
