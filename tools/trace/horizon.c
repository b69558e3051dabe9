/* SPDX-License-Identifier: Apache-2.0 */
/* How long a trace's record of a process lasts: to its exit or its last sign of life. */
#include <stdlib.h>

#include "trace/internal.h"

#define NEWEST_EVENTS 16384u /* of each ring: events searched for signs of life */

static void sign(struct trace *trace, uint32_t process, uint64_t ticks)
{
	struct life *life = life_of(trace, process);

	if (life && !life->over && ticks > life->horizon)
		life->horizon = ticks;
}

static void signs_of_handshakes(struct trace *trace)
{
	struct tlstall_handshake h;
	unsigned slots = trace_live_slot_count(trace);

	for (unsigned slot = 0; slot < slots; slot++) {
		if (trace_handshake(trace, slot, &h) != 0)
			continue;
		sign(trace, h.process, h.start);
		sign(trace, h.process, h.progress);
		sign(trace, h.process, h.enter);
		sign(trace, h.process, h.leave);
		sign(trace, h.process, h.end);
		sign(trace, h.process, h.freed);
	}
}

static void signs_of_events(struct trace *trace)
{
	uint64_t torn = trace->torn;
	struct trace_cursor *cursor;
	struct tlstall_event event;

	if (cursor_open_newest(trace, NEWEST_EVENTS, &cursor) != 0)
		return;
	for (;;) {
		int result = trace_cursor_next(cursor, &event);

		if (result > 0) {
			trace_cursor_skip(cursor);
			result = trace_cursor_next(cursor, &event);
		}
		if (result)
			break;
		sign(trace, event.process, trace_event_end(&event));
	}
	trace_cursor_close(cursor);
	trace->torn = torn; /* reported by whoever reads the events */
}

static void signs_of_looks(struct trace *trace)
{
	const struct tlstall_look *looks;
	uint32_t count = looks_read(trace, &looks);

	for (uint32_t i = 0; i < count; i++)
		sign(trace, looks[i].process, looks[i].seen);
}

/* What the file shows of a dead process apart from handshakes and events. */
static void conclude(struct trace *trace, unsigned process)
{
	const struct tlstall_header *h = &trace->header;
	struct life *life = &trace->lives[process];
	struct tlstall_process p;

	if (life_read_entry(trace, process, &p) != 0)
		return;
	sign(trace, process, life->seen);
	sign(trace, process, p.first_ticks);
	if (h->process_count == 1)
		sign(trace, process, h->last.ticks);
	if (p.exited && p.exit_ticks)
		life->horizon = p.exit_ticks;
	life->over = true;
}

/* First finds out who is dead, then reads what they left: nothing they wrote is missed. */
static void look_for_signs(struct trace *trace)
{
	uint32_t said = trace->header.process_count, most = life_most(trace);
	uint32_t count = said < most ? said : most; /* a damaged file says any number */
	bool *dead = calloc(count + 1u, sizeof(*dead));

	if (!dead)
		return;
	for (uint32_t i = 0; i < count; i++)
		dead[i] = !trace_alive(trace, i);
	signs_of_handshakes(trace);
	signs_of_events(trace);
	signs_of_looks(trace);
	for (uint32_t i = 0; i < count && i < trace->life_count; i++) {
		if (dead[i] && !trace->lives[i].over)
			conclude(trace, i);
		if (dead[i])
			trace->lives[i].searched = trace->round + 1;
	}
	free(dead);
}

/* Whether the process noted its own end: then no signs of life are needed. */
static bool told_its_end(struct trace *trace, unsigned process, struct life *life)
{
	struct tlstall_process p;

	if (life_read_entry(trace, process, &p) != 0 || !p.exited || !p.exit_ticks)
		return false;
	life->horizon = p.exit_ticks;
	life->over = true;
	return true;
}

/* The present, as the caller set it or by this host's clock. */
static uint64_t now_ticks(const struct trace *trace)
{
	return trace->now_known ? trace->now.ticks : trace_read_clock(trace).ticks;
}

uint64_t trace_horizon(struct trace *trace, unsigned process)
{
	struct life *life = life_of(trace, process);

	if (!life)
		return trace->header.exited ? trace->header.exit_ticks : trace->header.last.ticks;
	if (trace_alive(trace, process))
		return now_ticks(trace);
	/* without a sound entry it is never known to be over: all is read once a round */
	if (!life->over && !told_its_end(trace, process, life) &&
	    life->searched != trace->round + 1)
		look_for_signs(trace);
	return life_of(trace, process)->horizon; /* look_for_signs() may have moved the entries */
}
