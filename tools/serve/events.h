/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /events: server-sent events for the live page.
 *
 *	hello      once: {"epoch", "host", "version", "causes": [{"name", "title"}], "faults"}
 *	handshake  one that has ended, as in /api/handshakes; its id is EPOCH-NUMBER
 *	lost       {"count"}: ended, and no longer kept when this client could take them
 *	now        {"now_ns", "processes", "in_flight", "handshakes": [...]}: all that are not
 *	           reported yet, the oldest first; those that "handshakes" has no room for are counted
 *
 * A client owns no queue: it has its place in serve/recent.h, one event that is being sent, and a
 * share in the last `now`.
 */
#ifndef TOOLS_SERVE_EVENTS_H
#define TOOLS_SERVE_EVENTS_H

#include "serve/agent.h"
#include "serve/mhd.h"

struct events_client;
struct snapshot;

struct events {
	struct agent *agent;
	struct events_client *clients;
	unsigned count;
	struct snapshot *now;	/* the last one; NULL: nobody has asked for one */
	uint64_t due_ns;	/* CLOCK_MONOTONIC, of the next one */
	bool closing;
};

/*
 * `after`: what the client had before ("Last-Event-ID"), or NULL. Returns NULL if there are too
 * many clients, or no memory.
 */
struct MHD_Response *events_answer(struct events *events, struct MHD_Connection *connection,
				   const char *after);
/* Sends what is new, if anything. */
void events_tell(struct events *events);
/* Ends all streams as soon as the daemon runs. */
void events_close(struct events *events);

#endif
