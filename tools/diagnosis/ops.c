/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/ops.h"

#include <stdlib.h>

#include "tlstall/vocabulary.h"

/* For each block of this many ops, the widest gap is stored. */
#define BLOCK 256u

static int compare_op(const void *a, const void *b)
{
	const struct op *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* A single-threaded trace is already sorted. */
static bool in_order(const struct ops *ops)
{
	for (size_t i = 1; i < ops->count; i++) {
		if (compare_op(&ops->list[i - 1], &ops->list[i]) > 0)
			return false;
	}
	return true;
}

static bool ends_handshake(const struct tlstall_event *event)
{
	return event->flags & TLSTALL_EV_FINISHED || !tlstall_is_retry(event->error);
}

/* Grows at each power of two. */
static bool add(struct ops *ops, struct op op)
{
	if (!(ops->count & (ops->count - 1))) {
		size_t room = ops->count ? 2 * ops->count : 1;
		struct op *list = reallocarray(ops->list, room, sizeof(*list));

		if (!list)
			return false;
		ops->list = list;
	}
	ops->list[ops->count++] = op;
	return true;
}

static bool add_call(struct ops *ops, const struct tlstall_event *event)
{
	return add(ops, (struct op){.end = trace_event_end(event),
				    .busy = (uint64_t)event->duration,
				    .ended = ends_handshake(event),
				    .ssl = event->ssl,
				    .tid = event->tid,
				    .process = event->process,
				    .waits = !ends_handshake(event)});
}

/*
 * Mode `watch` keeps the first calls in the handshake itself. The last one there, or after those,
 * takes what is left of the time in calls, as that of the others was rounded.
 */
static bool add_packed(struct ops *ops, const struct tlstall_handshake *h, bool ended)
{
	struct op op = {.ssl = h->ssl, .tid = h->tid, .process = (uint16_t)h->process, .waits = true};
	uint32_t whole = h->calls < TLSTALL_PACKED ? h->calls - ended : TLSTALL_PACKED;
	uint64_t at = h->start, left = h->in_call;

	for (uint32_t i = 0; h->calls && i < whole; i++) {
		uint64_t busy = TLSTALL_PACK_DURATION(h->packed[i]);

		at += TLSTALL_PACK_GAP(h->packed[i]) + busy;
		op.end = ended && at > h->end ? h->end : at;
		op.busy = busy < left ? busy : left;
		left -= op.busy;
		if (!add(ops, op))
			return false;
	}
	if (!ended)
		return true;
	op.end = h->end;
	op.busy = left;
	op.ended = 1;
	op.waits = false;
	return add(ops, op);
}

static int add_event(struct trace *trace, struct ops *ops, const struct tlstall_event *event)
{
	struct tlstall_handshake h;
	int result;

	if (event->type == TLSTALL_EVENT_CALL)
		return add_call(ops, event) ? 0 : TRACE_ERROR_MEMORY;
	if (event->type != TLSTALL_EVENT_END || event->slot < trace_live_slot_count(trace))
		return 0;
	result = trace_handshake_of(trace, event, &h);
	if (result)
		return result < 0 ? result : 0;
	return add_packed(ops, &h, true) ? 0 : TRACE_ERROR_MEMORY;
}

static int read_events(struct trace *trace, struct ops *ops)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	int result = trace_cursor_open(trace, &cursor);

	if (result)
		return result;
	while (!(result = trace_cursor_next(cursor, &event)) &&
	       !(result = add_event(trace, ops, &event)))
		;
	trace_cursor_close(cursor);
	return result < 0 ? result : 0;
}

/* Those that are in flight have no summary yet, but their threads have worked on them. */
static int read_unfinished(struct trace *trace, struct ops *ops)
{
	unsigned count = trace_live_slot_count(trace);
	struct tlstall_handshake h;

	for (unsigned i = 0; i < count; i++) {
		int result = trace_handshake(trace, i, &h);

		if (result < 0)
			return result;
		if (!result && h.flags & TLSTALL_HS_COMPACT &&
		    h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && !add_packed(ops, &h, false))
			return TRACE_ERROR_MEMORY;
	}
	return 0;
}

static bool same_thread(const struct op *a, const struct op *b)
{
	return a->process == b->process && a->tid == b->tid;
}

/* Turns figures of each op into running sums of its thread. */
static void add_up(struct ops *ops)
{
	for (size_t i = 1; i < ops->count; i++) {
		const struct op *before = &ops->list[i - 1];
		struct op *op = &ops->list[i];

		if (!same_thread(before, op))
			continue;
		op->busy += before->busy;
		op->ended += before->ended;
	}
}

/* How long the thread rested after an op; 0 for its last. */
static uint64_t rest_after(const struct ops *ops, size_t i)
{
	if (i + 1 >= ops->count || !same_thread(&ops->list[i], &ops->list[i + 1]))
		return 0;
	return ops->list[i + 1].end - ops->list[i].end;
}

/* The op with the longest rest, from `first` up to but not including `last`. */
static struct widest widest_of(const struct ops *ops, size_t first, size_t last)
{
	struct widest widest = {first, rest_after(ops, first)};

	for (size_t i = first + 1; i < last; i++) {
		uint64_t rest = rest_after(ops, i);

		if (rest > widest.rest)
			widest = (struct widest){i, rest};
	}
	return widest;
}

static bool find_widest(struct ops *ops)
{
	size_t blocks = ops->count / BLOCK;

	ops->widest = reallocarray(NULL, blocks + 1, sizeof(*ops->widest));
	for (size_t i = 0; ops->widest && i < blocks; i++)
		ops->widest[i] = widest_of(ops, i * BLOCK, (i + 1) * BLOCK);
	return ops->widest;
}

/* Finds an object's entry, or a free one. `room` is a power of two; half of it stays free. */
static size_t *place_of(const struct ops *ops, size_t *last, size_t room, const struct op *op)
{
	size_t at = (size_t)((op->ssl >> 4) * 0x9e3779b97f4a7c15ull >> 20) & (room - 1);

	while (last[at] && (ops->list[last[at] - 1].ssl != op->ssl ||
			    ops->list[last[at] - 1].process != op->process))
		at = (at + 1) & (room - 1);
	return &last[at];
}

static bool find_asked(struct ops *ops)
{
	size_t room = 64, *last;

	while (room < 2 * ops->count)
		room *= 2;
	last = calloc(room, sizeof(*last));
	for (size_t i = 0; last && i < ops->count; i++) {
		struct op *op = &ops->list[i];
		size_t *place = place_of(ops, last, room, op);
		const struct op *before = *place ? &ops->list[*place - 1] : NULL;

		if (before && before->waits && same_thread(before, op))
			op->asked = before->end;
		*place = i + 1;
	}
	free(last);
	return last;
}

int ops_read(struct trace *trace, struct ops *ops)
{
	int error = read_events(trace, ops);

	if (!error)
		error = read_unfinished(trace, ops);
	if (error)
		return error;
	if (!in_order(ops))
		qsort(ops->list, ops->count, sizeof(*ops->list), compare_op);
	add_up(ops);
	return find_widest(ops) && find_asked(ops) ? 0 : TRACE_ERROR_MEMORY;
}

void ops_free(struct ops *ops)
{
	free(ops->list);
	free(ops->widest);
}

static size_t find_between(const struct ops *ops, const struct op *wanted, size_t low, size_t high)
{
	const struct op key = *wanted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_op(&ops->list[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t ops_find(const struct ops *ops, const struct tlstall_handshake *thread_of, uint64_t end)
{
	const struct op key = {
		.end = end, .tid = thread_of->tid, .process = (uint16_t)thread_of->process};

	return find_between(ops, &key, 0, ops->count);
}

size_t ops_find_after(const struct ops *ops, size_t first,
		      const struct tlstall_handshake *thread_of, uint64_t end)
{
	const struct op key = {
		.end = end, .tid = thread_of->tid, .process = (uint16_t)thread_of->process};
	size_t low = first, step = 1;

	while (low + step < ops->count && compare_op(&ops->list[low + step], &key) < 0) {
		low += step;
		step *= 2;
	}
	return find_between(ops, &key, low, low + step < ops->count ? low + step : ops->count);
}

size_t ops_on(const struct ops *ops, size_t first, size_t last, uint64_t ssl)
{
	size_t own = 0;

	for (; first < last; first++)
		own += ops->list[first].ssl == ssl;
	return own;
}

unsigned ops_polls(const struct ops *ops, size_t first, size_t last, uint64_t from, unsigned most)
{
	unsigned polls = 0;

	for (size_t i = first; i < last && polls < most; i++) {
		const struct op *op = &ops->list[i];

		if (!op->asked || op->asked < from)
			continue;
		polls++;
		from = op->end;
	}
	return polls;
}

/* Like widest_of(), but skips whole blocks. */
static size_t widest(const struct ops *ops, size_t first, size_t last)
{
	struct widest best = {first, 0};
	size_t at = first;

	while (at < last) {
		bool whole = at % BLOCK == 0 && at + BLOCK <= last;
		struct widest candidate =
			whole ? ops->widest[at / BLOCK] : (struct widest){at, rest_after(ops, at)};

		if (candidate.rest > best.rest)
			best = candidate;
		at += whole ? BLOCK : 1;
	}
	return best.at;
}

static void widen(struct span *hole, uint64_t from, uint64_t to)
{
	if (to > from && to - from > hole->to - hole->from)
		*hole = (struct span){from, to};
}

struct span ops_hole(const struct ops *ops, size_t first, size_t last, struct span in)
{
	struct span hole = {in.from, in.from};
	size_t longest;

	if (first >= last) {
		widen(&hole, in.from, in.to);
		return hole;
	}
	widen(&hole, in.from, ops->list[first].end);
	longest = widest(ops, first, last - 1);
	if (first + 1 < last)
		widen(&hole, ops->list[longest].end, ops->list[longest + 1].end);
	widen(&hole, ops->list[last - 1].end, in.to);
	return hole;
}
