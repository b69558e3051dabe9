/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all traced processes of this host are doing now: their handshakes in
 * flight, looked at from outside, and counts of those that ended. Shared by
 * ps, top, stack and ctl. Never prints.
 */
#ifndef TOOLS_LIVE_COLLECT_H
#define TOOLS_LIVE_COLLECT_H

#include <stdbool.h>

#include "view/subject.h"

/* "Per second" means over so long. */
#define LIVE_RECENT_S 10

struct live_tally {
	unsigned in_flight;
	unsigned ok, failed, abandoned;			      /* as far as the trace holds them */
	unsigned recent_ok, recent_failed, recent_abandoned; /* of the last LIVE_RECENT_S */
};

/* One trace: a process image and its forked children. */
struct live_file {
	char *path;
	struct trace *trace; /* NULL: over, and nothing of it is wanted */
	pid_t pid;
	uint64_t start_time;
	bool listed;   /* still in its directory */
	bool replaced; /* its process has exec'ed another program */
	bool alive;    /* one of its processes is */
	bool shown;    /* is alive, or has ended handshakes of late: worth a row */
	struct live_tally tally;
};

struct live {
	bool dead; /* handshakes that died with their process too */
	pid_t pid; /* 0: all */

	struct live_file **files;
	unsigned file_count;
	struct subject **subjects; /* in flight, the oldest first */
	unsigned subject_count;
	unsigned unreadable; /* traces that could not be opened */
	unsigned untraced;   /* processes that could not be traced, by their notes */
	char problem[200];   /* of the first of either kind */
};

/* Looks at everything again; subjects of before are gone. -1: no memory. */
int live_refresh(struct live *live);
void live_close(struct live *live);

/* The trace that a living process writes to, by its id; NULL: none. Needs a refresh. */
struct live_file *live_find(const struct live *live, pid_t pid);
/* Whether that subject's process goes on. */
bool live_is_alive(const struct live *live, const struct subject *subject);
/* Where traces are looked for: "A", "A nor 3 other places". */
void live_places(char *buffer, size_t size);

#endif
