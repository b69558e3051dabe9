/* SPDX-License-Identifier: Apache-2.0 */
/* Summaries of mode `watch` are read as handshakes, each with an END. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "diagnosis/facts.h"
#include "trace/reader.h"
#include "unit/add_neighbors.h"
#include "unit/build_trace.h"

#define ROOM 4u

/* A trace with a ring of summaries after everything else. */
struct history {
	struct build b;
	struct tlstall_summary *ring;
	struct trace *trace;
};

static void begin(struct history *w)
{
	size_t size, offset;

	build_trace(&w->b, NULL);
	offset = (w->b.size + 63) & ~(size_t)63;
	size = offset + ROOM * sizeof(*w->ring);
	w->b.bytes = realloc(w->b.bytes, size);
	assert_non_null(w->b.bytes);
	memset(w->b.bytes + w->b.size, 0, size - w->b.size);
	w->b.size = size;
	w->b.header = (struct tlstall_header *)w->b.bytes;
	w->b.header->file_size = size;
	w->b.header->section_count = TLSTALL_SECTION_HISTORY + 1;
	w->b.header->section[TLSTALL_SECTION_HISTORY] = (struct tlstall_section){
		.offset = offset, .count = ROOM, .entry_size = sizeof(*w->ring)};
	w->ring = (struct tlstall_summary *)(w->b.bytes + offset);
}

/* As the shim does: a claim first, the commit mark last. */
static struct tlstall_summary *add(struct history *w, uint32_t number)
{
	uint64_t position = w->b.header->history_head++;
	struct tlstall_summary *summary = &w->ring[position % ROOM];

	*summary = (struct tlstall_summary){
		.commit = (uint32_t)(position + 1),
		.number = number,
		.ssl = 0x5000 + number,
		.start = number * BUILD_MS,
		.duration = (float)(2 * BUILD_MS),
		.in_call = (float)(500 * BUILD_US),
		.gaps = (float)(1500 * BUILD_US),
		.tid = BUILD_TID,
		.bytes_in = 1200,
		.calls = 2,
		.want_read = 1,
		.role = TLSTALL_ROLE_CLIENT,
		.bio_class = TLSTALL_BIO_SOCKET,
		.fd = 7,
		.version = 0x0304,
		.sni = "example.org",
	};
	if (w->b.header->handshakes < number)
		w->b.header->handshakes = number;
	return summary;
}

static void open_it(struct history *w)
{
	w->trace = build_open(&w->b);
}

static void end(struct history *w)
{
	trace_close(w->trace);
	build_free(&w->b);
}

static int read_virtual(struct history *w, unsigned index, struct tlstall_handshake *h)
{
	return trace_handshake(w->trace, trace_live_slot_count(w->trace) + index, h);
}

static void test_is_a_handshake(void **state)
{
	struct tlstall_handshake h;
	struct history w;

	(void)state;
	begin(&w);
	add(&w, 1);
	open_it(&w);
	assert_int_equal(trace_slot_count(w.trace), trace_live_slot_count(w.trace) + ROOM);
	assert_int_equal(read_virtual(&w, 0, &h), 0);
	assert_int_equal(h.number, 1);
	assert_int_equal(h.status, TLSTALL_SLOT_DONE);
	assert_int_equal(h.outcome, TLSTALL_OUTCOME_OK);
	assert_int_equal(h.calls, 2);
	assert_int_equal(h.retries, 1);
	assert_int_equal(h.end - h.start, 2 * BUILD_MS);
	assert_int_equal(h.bytes_in, 1200);
	assert_int_equal(h.read.fd, 7);
	assert_string_equal(h.sni, "example.org");
	assert_true(h.flags & TLSTALL_HS_COMPACT);
	/* the others were never written */
	assert_int_equal(read_virtual(&w, 1, &h), 1);
	end(&w);
}

static void test_ends_are_told(void **state)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	struct tlstall_handshake h;
	struct history w;

	(void)state;
	begin(&w);
	add(&w, 1);
	add(&w, 2);
	open_it(&w);
	assert_int_equal(trace_cursor_open(w.trace, &cursor), 0);
	for (uint32_t number = 1; number <= 2; number++) {
		assert_int_equal(trace_cursor_next(cursor, &event), 0);
		assert_int_equal(event.type, TLSTALL_EVENT_END);
		assert_int_equal(event.handshake, number);
		assert_int_equal(event.ret, TLSTALL_OUTCOME_OK);
		assert_int_equal(trace_handshake_of(w.trace, &event, &h), 0);
		assert_int_equal(h.number, number);
	}
	assert_int_equal(trace_cursor_next(cursor, &event), 1);
	/* a later one */
	add(&w, 3);
	assert_int_equal(trace_refresh(w.trace), 0);
	assert_int_equal(trace_cursor_next(cursor, &event), 0);
	assert_int_equal(event.handshake, 3);
	trace_cursor_close(cursor);
	end(&w);
}

/* Handshakes are reported in the order they ended, whichever ring they are in. */
static void test_in_order(void **state)
{
	static const uint32_t wanted[] = {9, 8};
	struct trace_cursor *cursor;
	struct tlstall_handshake *slot;
	struct tlstall_event event;
	struct history w;

	(void)state;
	begin(&w);
	add(&w, 9); /* ends at 11 ms */
	open_it(&w);
	trace_close(w.trace);
	w.b.handshakes = (struct tlstall_handshake *)(w.b.bytes +
		w.b.header->section[TLSTALL_SECTION_HANDSHAKES].offset);
	w.b.opening = (struct tlstall_event *)(w.b.bytes +
		w.b.header->section[TLSTALL_SECTION_OPENING].offset);
	slot = build_handshake(&w.b, 0x7000, 12 * BUILD_MS);
	slot->number = 8;
	build_end(&w.b, slot, 20 * BUILD_MS, TLSTALL_OUTCOME_FAILED);
	open_it(&w);
	assert_int_equal(trace_cursor_open(w.trace, &cursor), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(trace_cursor_next(cursor, &event), 0);
		assert_int_equal(event.handshake, wanted[i]);
	}
	trace_cursor_close(cursor);
	end(&w);
}

static void test_overwritten_are_counted(void **state)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	struct history w;
	uint32_t seen = 0;

	(void)state;
	begin(&w);
	for (uint32_t number = 1; number <= ROOM + 3; number++)
		add(&w, number);
	open_it(&w);
	assert_int_equal(trace_cursor_open(w.trace, &cursor), 0);
	while (!trace_cursor_next(cursor, &event))
		assert_int_equal(event.handshake, 3 + ++seen);
	assert_int_equal(seen, ROOM);
	assert_int_equal(trace_cursor_lost(cursor), 3);
	trace_cursor_close(cursor);
	end(&w);
}

/* A summary that its writer has begun, and may never finish. */
static void test_incomplete(void **state)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	struct tlstall_handshake h;
	struct history w;

	(void)state;
	begin(&w);
	add(&w, 1)->commit = 0;
	add(&w, 2);
	open_it(&w);
	assert_int_equal(read_virtual(&w, 0, &h), 1);
	assert_int_equal(trace_cursor_open(w.trace, &cursor), 0);
	assert_int_equal(trace_cursor_next(cursor, &event), 1);
	trace_cursor_skip(cursor);
	assert_int_equal(trace_cursor_next(cursor, &event), 0);
	assert_int_equal(event.handshake, 2);
	trace_cursor_close(cursor);
	end(&w);
}

/* Summaries may contain anything: they are sanitized like slots. */
static void test_hostile(void **state)
{
	struct tlstall_summary *summary;
	struct tlstall_handshake h;
	struct history w;

	(void)state;
	begin(&w);
	summary = add(&w, 1);
	memset((char *)summary + 8, 0xff, sizeof(*summary) - 8);
	open_it(&w);
	assert_int_equal(read_virtual(&w, 0, &h), 0);
	assert_true(h.role <= TLSTALL_ROLE_SERVER);
	assert_true(h.read.bio_class <= TLSTALL_BIO_OTHER);
	assert_true(strlen(h.sni) < sizeof(h.sni) && strlen(h.alpn) < sizeof(h.alpn));
	assert_int_equal(h.end, h.start); /* NaN is not a duration */
	end(&w);
}

/* A client that has waited since its first op, while its thread made two other handshakes. */
static struct tlstall_handshake *waiting(struct history *w)
{
	struct tlstall_handshake *h = build_handshake(&w->b, 0x9000, 1 * BUILD_MS);

	h->enter = 0;
	h->calls = 1;
	h->leave = h->progress = 1 * BUILD_MS + 100 * BUILD_US;
	w->b.header->last.ticks = 2 * BUILD_S;
	add(w, 400);
	add(w, 500);
	return h;
}

static void test_thread_went_on(void **state)
{
	struct tlstall_handshake *h;
	struct history w;
	struct facts f;

	(void)state;
	begin(&w);
	h = waiting(&w);
	open_it(&w);
	facts_from_trace(w.trace, h, &f);
	add_neighbors(w.trace, h, &f);
	assert_int_equal(f.others.thread_other_ops, 4); /* the first and last of each */
	end(&w);
}

/* One word of `packed`, for a call that took whole milliseconds. */
static uint64_t took(uint64_t ms)
{
	const unsigned exponent = 20;
	uint64_t ticks = ((ms * BUILD_MS >> exponent) + 1) << 6 | exponent;

	return ticks << 32;
}

/*
 * A ClientHello lay in the socket for 60 ms, in which its thread began two other handshakes. They are
 * finished later, or not at all.
 */
static void test_work_counts_when_it_is_done(void **state)
{
	struct tlstall_handshake *late, *begun;
	struct tlstall_summary *finished;
	struct history w;
	struct facts f;

	(void)state;
	begin(&w);
	add(&w, 95);
	finished = add(&w, 100);
	finished->duration = (float)(500 * BUILD_MS);
	finished->in_call = (float)(20 * BUILD_MS);
	finished->packed[0] = took(19);
	begun = build_handshake(&w.b, 0x8000, 120 * BUILD_MS);
	begun->flags |= TLSTALL_HS_COMPACT;
	begun->calls = 1;
	begun->in_call = 20 * BUILD_MS;
	begun->packed[0] = took(19);
	late = build_handshake(&w.b, 0x9000, 150 * BUILD_MS);
	late->role = TLSTALL_ROLE_SERVER;
	late->at_start = (struct tlstall_socket){
		.ticks = 150 * BUILD_MS, .bytes_received = 517, .last_data_recv_ms = 60};
	build_end(&w.b, late, 160 * BUILD_MS, TLSTALL_OUTCOME_FAILED);
	open_it(&w);
	facts_from_trace(w.trace, late, &f);
	add_neighbors(w.trace, late, &f);
	assert_in_range(f.others.window_ns / 1000000, 69, 71);
	assert_in_range(f.others.busy_ns / 1000000, 38, 42);
	end(&w);
}

static void test_same_descriptor(void **state)
{
	struct tlstall_handshake *h;
	struct history w;
	struct facts f;

	(void)state;
	begin(&w);
	add(&w, 1)->bytes_out = 500;
	h = build_handshake(&w.b, 0x9000, 10 * BUILD_MS);
	h->read.fd = 7;
	h->at_start = (struct tlstall_socket){
		.ticks = 10 * BUILD_MS, .bytes_received = 1300, .bytes_acked = 600};
	open_it(&w);
	facts_from_trace(w.trace, h, &f);
	add_neighbors(w.trace, h, &f);
	assert_true(f.others.same_descriptor && !f.others.same_socket);
	/* another connection with the same number */
	h->at_start.bytes_received = 0;
	add_neighbors(w.trace, h, &f);
	assert_false(f.others.same_descriptor);
	/* a server's, which has brought a large ClientHello: the shim does not ask how much is unsent */
	h->at_start.bytes_received = 1300;
	h->at_start.bytes_acked = 0;
	h->at_start.outq = UINT32_MAX;
	add_neighbors(w.trace, h, &f);
	assert_false(f.others.same_descriptor);
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_a_handshake),
		cmocka_unit_test(test_ends_are_told),
		cmocka_unit_test(test_in_order),
		cmocka_unit_test(test_overwritten_are_counted),
		cmocka_unit_test(test_incomplete),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_thread_went_on),
		cmocka_unit_test(test_work_counts_when_it_is_done),
		cmocka_unit_test(test_same_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
