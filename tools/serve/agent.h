/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's state: the traces that it follows, counts of ended handshakes, the newest records. */
#ifndef TOOLS_SERVE_AGENT_H
#define TOOLS_SERVE_AGENT_H

#include "live/tail.h"
#include "prune/prune.h"
#include "serve/counts.h"
#include "serve/peers.h"
#include "serve/recent.h"
#include "text/json_line.h"

/* The rules of tlstall clean, each applied separately. */
struct retention {
	double older_s;	      /* <0: any age */
	uint64_t keep_bytes;  /* UINT64_MAX: no bound */
	unsigned keep_traces; /* UINT_MAX: no bound */
};

struct agent_options {
	char **directories; /* NULL: all that may hold traces */
	const char *state;  /* file with the time up to which handshakes were counted; NULL: none */
	struct retention retention;
	unsigned peers; /* how many of them the metrics show */
};

struct agent {
	const struct agent_options *options;
	struct tail tail;
	struct tail_sink sink;
	struct counts counts;
	struct peers peers;
	struct recent recent;
	struct json_line record;
	struct subject *subject;
	uint64_t polled_ns, pruned_ns, saved_ns; /* CLOCK_MONOTONIC; 0: never */
	uint64_t pruned_traces, pruned_bytes;
	uint64_t started_ns; /* since the epoch */
};

/* Returns the exit status; errors have been reported. */
int agent_open(struct agent *agent, const struct agent_options *options);
/* Does what is due. Returns the milliseconds until the next task. */
int agent_tick(struct agent *agent);
/* Handshakes in flight, judged now, as JSON Lines. */
void agent_write_in_flight(struct agent *agent, FILE *out);
/* Handshakes not yet reported, as one object without a newline: see serve/events.h. */
void agent_write_now(struct agent *agent, FILE *out);
/* "3 processes traced, 2 handshakes in flight, the oldest for 4.1 s, 12 ended". */
void agent_status(struct agent *agent, char *buffer, size_t size);
/* Counts the last handshakes that ended, and saves the state. */
void agent_close(struct agent *agent);

#endif
