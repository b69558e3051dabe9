/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all traced processes of this host are doing now: their handshakes in flight, as seen from
 * outside, and counts of finished ones. Shared by ps, top, stack and ctl. Never prints.
 */
#ifndef TOOLS_LIVE_COLLECT_H
#define TOOLS_LIVE_COLLECT_H

#include <stdbool.h>

#include "live/looker.h"
#include "live/looked.h"
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
	struct trace *trace; /* NULL: its processes have ended, and everything needed was read */
	char comm[17], pid[SUBJECT_PID_SIZE];
	bool history;  /* over, and nothing of it is of now */
	bool listed;   /* still in its directory */
	bool replaced; /* its process has exec'ed another program */
	bool read;     /* in this refresh */
	bool alive;    /* one of its processes is */
	bool shown;    /* is alive, or has recently finished handshakes: gets a row */
	struct live_tally tally;
};

struct live {
	bool dead; /* handshakes that died with their process too */
	pid_t pid; /* 0: all */
	bool look; /* also look at processes without the shim: see untraced.h */

	struct live_file **files;
	unsigned file_count, room;
	unsigned sorted; /* of `files`, by path; those that are new come behind */
	struct subject **subjects; /* in flight, the oldest first */
	unsigned subject_count;
	pid_t problem_of;  /* the process; 0: all of them */
	char problem[200]; /* the first trace that cannot be opened, or process that cannot be traced */
	struct looker looker;
	struct looked *looked; /* of `look`: what the subjects from outside belong to */
	unsigned looked_count;
};

/* Looks at everything again; earlier subjects become invalid. -1: out of memory. */
int live_refresh(struct live *live);
void live_close(struct live *live);
/* Reads a subject's handshake anew, without verdicts; false: it has ended. Not of one from outside. */
bool live_again(struct subject *subject);

/* The trace that a living process writes to, by its id; NULL: none. Needs a refresh. */
struct live_file *live_find(const struct live *live, pid_t pid);
/* Why there is no trace of that process, as a sentence without a full stop. Needs a refresh. */
void live_absence(const struct live *live, pid_t pid, char *buffer, size_t size);
/* The directories that were searched; NULL-terminated, for trace_search_path_free(). */
char **live_directories(void);
/* Where traces are looked for: "A", "A nor 3 other places". */
void live_places(char *buffer, size_t size);

#endif
