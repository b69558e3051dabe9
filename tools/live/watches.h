/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handshakes of one trace that have not been reported yet: each is kept until everything is
 * known about it, or until the trace ends.
 */
#ifndef TOOLS_LIVE_WATCHES_H
#define TOOLS_LIVE_WATCHES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "live/looker.h"
#include "trace/reader.h"

struct watch {
	uint32_t slot;
	struct tlstall_handshake h;
	uint64_t scan;	    /* of the watches, in which its slot was read last */
	uint64_t ended_ns;  /* CLOCK_MONOTONIC when its end was noticed, 0: in flight */
	uint64_t looked_ns; /* when the kernel was asked last, 0: never */
	struct kernel_view view, first; /* the last look, and the first at the same stall */
	/* of live/flight.c: what it was judged to be while it hung, and when; 0: it was not */
	uint64_t judged_ns;
	uint8_t cause, fault;
};

struct watched_slot;
struct watches {
	struct watch *items;
	uint32_t *numbers; /* of their handshakes, apart: they are searched at each summary */
	size_t count, room;
	struct watched_slot *slots; /* one for each of the trace */
	uint32_t slot_count;
	uint64_t scanned; /* of the trace's slot_cursor */
	uint64_t scans;
	struct looker looker;
	uint64_t missed;  /* ended and overwritten before they were read */
	bool patient;	  /* looks ever less often at one that hangs */
};

/* Takes what is known of a handshake; `view` NULL: the kernel was not asked. */
struct watch_report {
	void (*report)(void *context, const struct tlstall_handshake *h,
		       const struct kernel_view *view);
	void *context;
};

int watches_open(struct watches *watches, struct trace *trace);
void watches_free(struct watches *watches);

/* An END event was read: its handshake is copied before its slot is used again. */
void watches_ended(struct watches *watches, struct trace *trace, const struct tlstall_event *event,
		   uint64_t now_ns, const struct watch_report *report);
/* To be called a few times a second: finds handshakes that hang in their first op, asks the
 * kernel about those that take long, reports those of which all is known. */
void watches_scan(struct watches *watches, struct trace *trace, uint64_t now_ns,
		  const struct watch_report *report);
/* Reports all that are left, as they stand. */
void watches_finish(struct watches *watches, struct trace *trace, uint64_t now_ns,
		    const struct watch_report *report);
/* What is in hand of the handshake that an event names, NULL: nothing. */
const struct watch *watches_find(const struct watches *watches, const struct tlstall_event *event);
/* How long a patient caller accepts a look at a handshake of this age, or its verdict. */
uint64_t watch_patience_ns(uint64_t age_ns);
/* Whether all that can still come of it is its summary: until then nothing has to be asked for. */
bool watch_is_quiet(const struct watch *watch);
/* Nobody writes to that handshake any more. */
bool watch_is_final(const struct watch *watch);

#endif
