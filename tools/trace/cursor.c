/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks the two rings of events, and the ring of summaries, while they are written.
 *
 * Each ring is read in chunks. A record is good if its commit mark matched its position before it
 * was read, and writers had not come round to it afterwards. Each chunk is read twice, the first
 * time for the marks, since a single copy may contain a mark newer than the rest of its record.
 *
 * The merge must not skip what one ring holds because the other was looked at earlier. So the heads
 * are read in the order `opening`, `rest`, `opening`: whatever a thread wrote before an event below
 * the limits is also below them, or lies between the two readings of `opening`, where we stop.
 */
#include <stdlib.h>
#include <string.h>

#include "trace/internal.h"

#define CHUNK 1024u /* records */

struct ring {
	uint64_t head_at; /* offset in the header of its counter */
	struct tlstall_section section;
	uint64_t next;		   /* position to be returned next */
	uint64_t limit;		   /* positions below it have been claimed */
	uint64_t chunk, chunk_end; /* positions that `bytes` holds */
	unsigned char *bytes;	   /* NULL: no chunk in hand */
	uint32_t *marks;	   /* commit marks from before `bytes` was read */
};

struct trace_cursor {
	struct trace *trace;
	struct ring opening, rest;
	struct ring history;	/* of summaries */
	uint64_t opening_since; /* its head after `rest` was looked at */
	uint64_t lost, torn;
	struct tlstall_event held; /* next event of the two rings while summaries are merged */
	bool held_known;
};

/* ---- one ring ---------------------------------------------------------------- */

/* Whether the trace has this ring and the cursor reads it. */
static bool is_read(const struct ring *ring)
{
	return ring->section.count;
}

static void give_room_back(struct ring *ring)
{
	free(ring->bytes);
	free(ring->marks);
	ring->bytes = NULL;
	ring->marks = NULL;
	ring->chunk = ring->chunk_end = 0;
}

/* Allocated only when needed: most cursors that wait for events have no chunk in hand. */
static int take_room(struct ring *ring)
{
	uint32_t room = ring->section.count < CHUNK ? ring->section.count : CHUNK;

	if (ring->bytes)
		return 0;
	ring->bytes = malloc((size_t)room * ring->section.entry_size);
	ring->marks = malloc(room * sizeof(*ring->marks));
	if (ring->bytes && ring->marks)
		return 0;
	give_room_back(ring);
	return TRACE_ERROR_MEMORY;
}

static int read_head(const struct trace *trace, const struct ring *ring, uint64_t *head)
{
	return trace_read(trace, head, 1, sizeof(*head), ring->head_at);
}

/* Skips to the oldest record that writers have not overwritten. */
static void drop_overwritten(struct trace_cursor *cursor, struct ring *ring, uint64_t head)
{
	uint64_t oldest = head > ring->section.count ? head - ring->section.count : 0;

	if (oldest <= ring->next)
		return;
	cursor->lost += oldest - ring->next;
	ring->next = oldest;
	if (ring->limit < oldest)
		ring->limit = oldest;
	if (ring == &cursor->opening && cursor->opening_since < head)
		cursor->opening_since = head;
}

static void note_marks(struct ring *ring, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		memcpy(&ring->marks[i], ring->bytes + i * ring->section.entry_size,
		       sizeof(ring->marks[i]));
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

/* A chunk ends where the ring does, so that it is read in one piece. */
static int read_chunk(struct trace_cursor *cursor, struct ring *ring)
{
	const struct tlstall_section *s = &ring->section;
	uint64_t index = ring->next & (s->count - 1);
	uint64_t count = ring->limit - ring->next, at, head;
	bool over = life_all_over(cursor->trace);
	int error = take_room(ring);

	if (error)
		return error;
	if (count > CHUNK)
		count = CHUNK;
	if (count > s->count - index)
		count = s->count - index;
	at = s->offset + index * s->entry_size;
	cursor->trace->learned++;
	error = trace_read(cursor->trace, ring->bytes, count, s->entry_size, at);
	if (error)
		return error;
	note_marks(ring, count);
	if (!over)
		error = trace_read(cursor->trace, ring->bytes, count, s->entry_size, at);
	if (!error)
		error = read_head(cursor->trace, ring, &head);
	if (error)
		return error;
	ring->chunk = ring->next;
	ring->chunk_end = ring->next + count;
	drop_overwritten(cursor, ring, head);
	return 0;
}

static bool in_chunk(const struct ring *ring)
{
	return ring->next >= ring->chunk && ring->next < ring->chunk_end;
}

/* The record at `next` in the chunk; NULL: it had not been committed when the chunk was read. */
static const unsigned char *in_hand(const struct ring *ring)
{
	uint64_t i = ring->next - ring->chunk;

	if (!in_chunk(ring) || ring->marks[i] != (uint32_t)(ring->next + 1))
		return NULL;
	return ring->bytes + i * ring->section.entry_size;
}

/* 0: *out is the next record; 1: it is not committed; 2: none has been claimed below the limit. */
enum { PEEK_RECORD, PEEK_PENDING, PEEK_NONE };
static int peek(struct trace_cursor *cursor, struct ring *ring, const unsigned char **out)
{
	int error;

	*out = in_hand(ring);
	while (!*out && ring->next < ring->limit) {
		uint64_t asked = ring->next;

		error = read_chunk(cursor, ring);
		if (error)
			return error;
		*out = in_hand(ring);
		if (!*out && ring->next == asked)
			return PEEK_PENDING;
	}
	return *out ? PEEK_RECORD : PEEK_NONE;
}

/* ---- the merge ------------------------------------------------------------------ */

uint64_t trace_event_end(const struct tlstall_event *event)
{
	return event->ticks + (uint64_t)event->duration;
}

/* How far off an event's end may be, as its duration is a float. */
static uint64_t slack(const struct tlstall_event *event)
{
	return (trace_event_end(event) - event->ticks) / 8000000 + 1;
}

/*
 * Whether an event of `rest` comes before one of `opening`. Within one handshake, the order is
 * known better than by rounded times: its first events are in `opening`, and its END follows its
 * last op and precedes that op's SSL_get_error.
 */
static bool rest_first(const struct tlstall_event *opening, const struct tlstall_event *rest)
{
	uint64_t a = trace_event_end(opening), b = trace_event_end(rest);
	uint64_t apart = a > b ? a - b : b - a;

	if (opening->handshake != rest->handshake || !opening->handshake ||
	    opening->ssl != rest->ssl || apart > slack(opening) + slack(rest))
		return b < a;
	if (opening->type != TLSTALL_EVENT_END)
		return false;
	return rest->type != TLSTALL_EVENT_GET_ERROR || rest->retry < opening->retry;
}

static int look_at_history(struct trace_cursor *cursor)
{
	uint64_t head;
	int error;

	if (!is_read(&cursor->history))
		return 0;
	error = read_head(cursor->trace, &cursor->history, &head);
	if (error)
		return error;
	if (head > cursor->history.limit)
		cursor->history.limit = head;
	drop_overwritten(cursor, &cursor->history, head);
	return 0;
}

static int look_at_heads(struct trace_cursor *cursor)
{
	struct trace *trace = cursor->trace;
	uint64_t opening, rest, since;
	int error = read_head(trace, &cursor->opening, &opening);

	if (!error)
		error = read_head(trace, &cursor->rest, &rest);
	if (!error)
		error = read_head(trace, &cursor->opening, &since);
	if (error)
		return error;
	if (opening > cursor->opening.limit)
		cursor->opening.limit = opening;
	if (is_read(&cursor->rest) && rest > cursor->rest.limit)
		cursor->rest.limit = rest;
	cursor->opening_since = since;
	drop_overwritten(cursor, &cursor->opening, since);
	if (is_read(&cursor->rest))
		drop_overwritten(cursor, &cursor->rest, rest);
	return look_at_history(cursor);
}

static void take(struct tlstall_event *event, const unsigned char *record)
{
	memcpy(event, record, sizeof(*event));
	event->duration = ticks_tame(event->duration);
}

static int give(struct ring *ring, const struct tlstall_event *event, struct tlstall_event *out)
{
	ring->next++;
	*out = *event;
	return 0;
}

/* The next event below the limits; >0: there is none, or it is not committed. */
static int merge(struct trace_cursor *cursor, struct tlstall_event *out)
{
	struct ring *opening = &cursor->opening, *rest = &cursor->rest;
	const unsigned char *at[2];
	struct tlstall_event a = {0}, b = {0};
	int first = peek(cursor, opening, &at[0]);
	int second = first < 0 ? first : peek(cursor, rest, &at[1]);

	if (second < 0)
		return second;
	if (first == PEEK_PENDING || second == PEEK_PENDING)
		return 1;
	if (first == PEEK_RECORD)
		take(&a, at[0]);
	if (second == PEEK_RECORD)
		take(&b, at[1]);
	if (first == PEEK_RECORD && (second == PEEK_NONE || !rest_first(&a, &b)))
		return give(opening, &a, out);
	if (second == PEEK_RECORD &&
	    (first == PEEK_RECORD || opening->next >= cursor->opening_since))
		return give(rest, &b, out);
	return 1;
}

/* ---- summaries: an END event for each -------------------------------------------- */

/* 0: *out is the next one; >0: no more is complete. */
static int peek_history(struct trace_cursor *cursor, struct tlstall_event *out)
{
	struct ring *ring = &cursor->history;
	struct tlstall_summary summary;
	const unsigned char *at;
	int result;

	while (is_read(ring)) {
		result = peek(cursor, ring, &at);
		if (result)
			return result;
		memcpy(&summary, at, sizeof(summary));
		if (history_event(cursor->trace, &summary, ring->next, out))
			return 0;
		ring->next++; /* withdrawn: the handshake has been given a slot */
	}
	return 1;
}

static int give_summary(struct trace_cursor *cursor, const struct tlstall_event *event,
			struct tlstall_event *out)
{
	cursor->history.next++;
	*out = *event;
	return 0;
}

/* A summary's exact place among events of other handshakes does not matter. */
static int merge_history(struct trace_cursor *cursor, struct tlstall_event *out)
{
	struct tlstall_event summary;
	int found = peek_history(cursor, &summary), result;

	if (found < 0)
		return found;
	if (!found && cursor->held_known &&
	    trace_event_end(&summary) <= trace_event_end(&cursor->held))
		return give_summary(cursor, &summary, out);
	if (cursor->held_known) {
		cursor->held_known = false;
		*out = cursor->held;
		return 0;
	}
	result = merge(cursor, &cursor->held);
	if (result < 0)
		return result;
	if (result && !found)
		return give_summary(cursor, &summary, out);
	cursor->held_known = !result;
	return result ? result : merge_history(cursor, out);
}

int trace_cursor_next(struct trace_cursor *cursor, struct tlstall_event *out)
{
	int result = merge_history(cursor, out);

	/* nothing is left below the limits, or it was written meanwhile */
	if (result > 0) {
		result = look_at_heads(cursor);
		if (!result)
			result = merge_history(cursor, out);
	}
	return result;
}

/* ---- records that will never be committed ----------------------------------------- */

static void skip(struct trace_cursor *cursor, struct ring *ring)
{
	const unsigned char *record;

	while (peek(cursor, ring, &record) == PEEK_PENDING) {
		do {
			ring->next++;
			cursor->torn++;
		} while (in_chunk(ring) && !in_hand(ring));
	}
}

void trace_cursor_skip(struct trace_cursor *cursor)
{
	skip(cursor, &cursor->opening);
	skip(cursor, &cursor->rest);
	if (is_read(&cursor->history))
		skip(cursor, &cursor->history);
	if (cursor->torn > cursor->trace->torn)
		cursor->trace->torn = cursor->torn;
}

/* ---- open and close ------------------------------------------------------------------ */

static void prepare(const struct trace *trace, struct ring *ring, enum tlstall_section_id id,
		    uint64_t head_at)
{
	ring->section = trace->header.section[id];
	ring->head_at = head_at;
}

int trace_cursor_open(struct trace *trace, struct trace_cursor **out)
{
	struct trace_cursor *cursor = calloc(1, sizeof(*cursor));

	*out = cursor;
	if (!cursor)
		return TRACE_ERROR_MEMORY;
	cursor->trace = trace;
	prepare(trace, &cursor->opening, TLSTALL_SECTION_OPENING,
		offsetof(struct tlstall_header, opening_head));
	prepare(trace, &cursor->rest, TLSTALL_SECTION_REST,
		offsetof(struct tlstall_header, rest_head));
	if (trace->present[TLSTALL_SECTION_HISTORY])
		prepare(trace, &cursor->history, TLSTALL_SECTION_HISTORY,
			offsetof(struct tlstall_header, history_head));
	return 0;
}

int trace_cursor_open_ends(struct trace *trace, struct trace_cursor **out)
{
	int error = trace_cursor_open(trace, out);

	if (!error)
		(*out)->rest = (struct ring){.head_at = (*out)->rest.head_at};
	return error;
}

void trace_cursor_idle(struct trace_cursor *cursor)
{
	give_room_back(&cursor->opening);
	give_room_back(&cursor->rest);
	give_room_back(&cursor->history);
}

static void leave_out_older(struct ring *ring, uint32_t most)
{
	if (ring->limit - ring->next > most)
		ring->next = ring->limit - most;
}

int cursor_open_newest(struct trace *trace, uint32_t most, struct trace_cursor **out)
{
	int error = trace_cursor_open(trace, out);

	if (error)
		return error;
	error = look_at_heads(*out);
	if (error) {
		trace_cursor_close(*out);
		return error;
	}
	leave_out_older(&(*out)->opening, most);
	leave_out_older(&(*out)->rest, most);
	leave_out_older(&(*out)->history, most);
	return 0;
}

void trace_cursor_close(struct trace_cursor *cursor)
{
	if (!cursor)
		return;
	trace_cursor_idle(cursor);
	free(cursor);
}

uint64_t trace_cursor_lost(const struct trace_cursor *cursor)
{
	return cursor->lost;
}
