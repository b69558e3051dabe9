/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes: copies slots while they are being written. */
#include <stdlib.h>
#include <string.h>

#include "trace/internal.h"

#define SLOTS TLSTALL_SECTION_HANDSHAKES
#define SLOTS_AHEAD 32u
#define SLOTS_BEHIND 8u /* handshakes do not quite end in the order of their slots */
#define STREAK 4u	/* this many nearby slots in a row: a walk, or the events of a busy time */
#define WINDOW_NS 1000000u /* what was read ahead is used for this long */
#define ATTEMPTS 4

unsigned trace_live_slot_count(const struct trace *trace)
{
	return trace->present[SLOTS];
}

unsigned trace_slots_used(const struct trace *trace)
{
	unsigned count = trace_live_slot_count(trace);

	return trace->header.slot_cursor < count ? (unsigned)trace->header.slot_cursor : count;
}

unsigned trace_slot_count(const struct trace *trace)
{
	return trace->present[SLOTS] + trace->present[TLSTALL_SECTION_HISTORY];
}

uint64_t trace_begun(const struct trace *trace)
{
	uint64_t all = trace->header.handshakes, before = trace->header.handshakes_before;

	return all > before ? all - before : 0;
}

static bool readable(const struct tlstall_handshake *h)
{
	return h->number && h->status != TLSTALL_SLOT_FREE && h->status <= TLSTALL_SLOT_DONE;
}

/* ---- two copies ------------------------------------------------------------ */

static bool make_window(struct trace *trace)
{
	size_t size = SLOTS_AHEAD * (size_t)trace->header.section[SLOTS].entry_size;

	if (!trace->window.first)
		trace->window.first = malloc(size);
	if (!trace->window.second)
		trace->window.second = malloc(size);
	return trace->window.first && trace->window.second;
}

/* Reads slots twice while they may be written to; reads ahead if nearby slots are asked for. */
static int fill_window(struct trace *trace, uint32_t slot)
{
	struct window *w = &trace->window;
	const struct tlstall_section *s = &trace->header.section[SLOTS];
	uint32_t behind = slot < SLOTS_BEHIND ? slot : SLOTS_BEHIND;
	uint32_t start = w->streak >= STREAK ? slot - behind : slot;
	uint32_t left = trace->present[SLOTS] - start,
		 count = w->streak >= STREAK ? SLOTS_AHEAD : 1;
	uint64_t at = s->offset + (uint64_t)start * s->entry_size;
	bool over = life_all_over(trace); /* before reading: it may end meanwhile */
	int error;

	w->count = 0;
	if (!make_window(trace))
		return TRACE_ERROR_MEMORY;
	if (count > left)
		count = left;
	w->learned = trace->learned;
	w->read_ns = time_monotonic_ns();
	error = trace_read(trace, w->first, count, s->entry_size, at);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (!error && !over)
		error = trace_read(trace, w->second, count, s->entry_size, at);
	if (error)
		return error;
	w->start = start;
	w->count = count;
	w->final = over;
	return 0;
}

/* Whether the window has the slot, read recently enough. */
static bool in_window(const struct trace *trace, uint32_t slot)
{
	const struct window *w = &trace->window;

	return slot >= w->start && slot - w->start < w->count &&
	       (w->final || time_monotonic_ns() - w->read_ns <= WINDOW_NS);
}

static void count_streak(struct window *w, uint32_t slot)
{
	bool near = slot + SLOTS_BEHIND >= w->next && slot < w->next + SLOTS_AHEAD;

	w->streak = near ? w->streak + 1 : 0;
	w->next = slot + 1;
}

/* Fields that an older version lacks are 0. */
static void copy(struct tlstall_handshake *to, const void *entry, size_t size)
{
	*to = (struct tlstall_handshake){0};
	memcpy(to, entry, size < sizeof(*to) ? size : sizeof(*to));
}

/* `fresh`: read from the file, whatever the window has. One copy is enough if nobody writes any more. */
static int copy_twice(struct trace *trace, uint32_t slot, bool fresh,
		      struct tlstall_handshake *first, struct tlstall_handshake *second)
{
	struct window *w = &trace->window;
	size_t size = trace->header.section[SLOTS].entry_size, at;
	int error = 0;

	if (fresh || !in_window(trace, slot))
		error = fill_window(trace, slot);
	if (error)
		return error;
	at = (slot - w->start) * size;
	copy(first, w->first + at, size);
	if (!w->final)
		copy(second, w->second + at, size);
	return 0;
}

/*
 * The owner may write while we copy. Two equal copies are a consistent state. If the owner is too
 * busy for that, two copies of the same handshake must do.
 */
static int stable_copy(struct trace *trace, unsigned slot, bool fresh,
		       struct tlstall_handshake *out)
{
	struct tlstall_handshake again;
	bool same = false;

	for (int i = 0; i < ATTEMPTS; i++) {
		int error = copy_twice(trace, slot, fresh || i, out, &again);

		if (error)
			return error;
		if (trace->window.final) {
			same = readable(out);
			break;
		}
		same = readable(out) && readable(&again) && again.number == out->number;
		if (!out->number || (same && !memcmp(&again, out, sizeof(again))))
			break;
	}
	if (!same)
		return 1;
	handshake_tame(out);
	return 0;
}

int trace_handshake(struct trace *trace, unsigned slot, struct tlstall_handshake *out)
{
	bool walk = slot == trace->window.next;

	if (slot >= trace->present[SLOTS])
		return history_handshake(trace, slot - trace->present[SLOTS], out);
	count_streak(&trace->window, slot);
	return stable_copy(trace, slot, !walk, out);
}

void trace_learn(struct trace *trace)
{
	trace->learned++;
}

/* The window may be used if it was read after the event was. */
int trace_handshake_of(struct trace *trace, const struct tlstall_event *event,
		       struct tlstall_handshake *out)
{
	bool known = trace->window.learned == trace->learned;
	int result;

	if (!event->handshake || event->slot >= trace_slot_count(trace))
		return 1;
	if (event->slot >= trace->present[SLOTS]) {
		result = history_handshake_of(trace, event->slot - trace->present[SLOTS],
					      event->handshake, out);
	} else {
		count_streak(&trace->window, event->slot);
		result = stable_copy(trace, event->slot, !known, out);
	}
	if (result)
		return result;
	return (uint32_t)out->number != event->handshake;
}
