/* SPDX-License-Identifier: Apache-2.0 */
/* The unfinished handshakes of all traces that are followed: how many, how old, and why. */
#ifndef TOOLS_LIVE_FLIGHT_H
#define TOOLS_LIVE_FLIGHT_H

#include "live/tail.h"

/* How many are in flight in living processes. */
struct tail_flight {
	unsigned count[3];  /* by enum tlstall_role */
	uint64_t oldest_ns; /* its age, 0: there is none */
};
void tail_flight(const struct tail *tail, struct tail_flight *out);
/* Calls `each` for each of them, judged as it is now. */
void tail_in_flight(struct tail *tail, void (*each)(void *context, const struct subject *subject),
		    void *context);
/* Oldest first, until `each` returns false. Includes ended ones that are yet to be reported. */
void tail_unreported(struct tail *tail, bool (*each)(void *context, const struct subject *subject),
		     void *context);
/*
 * How many of them are in trouble, by cause, and whose fault that is. A verdict may be as old as its
 * handshake was at that time, but no older than a minute. One that was not judged yet counts as
 * UNKNOWN.
 */
struct tail_stalled {
	unsigned causes[CAUSE_COUNT];
	enum fault faults[CAUSE_COUNT];
};
void tail_stalled(struct tail *tail, struct tail_stalled *out);

#endif
