/* SPDX-License-Identifier: Apache-2.0 */
/* What the agent knows: the traces it follows, counts of what ended, the newest records. */
#ifndef TOOLS_SERVE_AGENT_H
#define TOOLS_SERVE_AGENT_H

#include "live/tail.h"
#include "prune/prune.h"
#include "serve/counts.h"
#include "serve/recent.h"
#include "text/json_line.h"

/* How long something is kept; as tlstall clean has it, but each by itself. */
struct retention {
	double older_s;	      /* <0: any age */
	uint64_t keep_bytes;  /* UINT64_MAX: no bound */
	unsigned keep_traces; /* UINT_MAX: no bound */
};

struct agent_options {
	char **directories; /* NULL: all where traces may lie */
	const char *state;  /* a file that tells up to when handshakes were counted; NULL: none */
	struct retention retention;
};

struct agent {
	const struct agent_options *options;
	struct tail tail;
	struct tail_sink sink;
	struct counts counts;
	struct recent recent;
	struct json_line record;
	struct subject *subject;
	uint64_t polled_ns, pruned_ns, saved_ns; /* CLOCK_MONOTONIC; 0: never */
	uint64_t pruned_traces, pruned_bytes;
	uint64_t started_ns; /* since the epoch */
};

/* The exit status; the reason was explained. */
int agent_open(struct agent *agent, const struct agent_options *options);
/* Does what is due; how many milliseconds until there is more to do. */
int agent_tick(struct agent *agent);
/* Handshakes in flight, judged now, as JSON Lines. */
void agent_write_in_flight(struct agent *agent, FILE *out);
/* What is not reported yet, as one object without a line's end: see serve/events.h. */
void agent_write_now(struct agent *agent, FILE *out);
/* "3 processes traced, 2 handshakes in flight, the oldest for 4.1 s, 12 ended". */
void agent_status(struct agent *agent, char *buffer, size_t size);
/* What ended is reported, and up to when is remembered. */
void agent_close(struct agent *agent);

#endif
