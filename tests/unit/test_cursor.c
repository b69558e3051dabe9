/* SPDX-License-Identifier: Apache-2.0 */
/* The cursor over both rings of events: order, uncommitted events, overwritten events. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "unit/build_trace.h"

struct walk {
	struct build b;
	struct tlstall_handshake *h; /* its first events are written, so the rest go to REST */
	struct trace *trace;
	struct trace_cursor *cursor;
};

/* An event that is still being written. */
static void build_live(struct walk *w, const struct build_plan *plan)
{
	build_trace(&w->b, plan);
	w->b.header->exited = w->b.processes[0].exited = 0;
	w->h = build_handshake(&w->b, 0x5000, 0);
}

static void start(struct walk *w, const struct build_plan *plan)
{
	build_live(w, plan);
	w->trace = build_open(&w->b);
	assert_int_equal(trace_cursor_open(w->trace, &w->cursor), 0);
}

static void finish(struct walk *w)
{
	trace_cursor_close(w->cursor);
	trace_close(w->trace);
	build_free(&w->b);
}

/* Appends an event of no duration to the given ring; `ret` identifies it. */
static struct tlstall_event *append(struct walk *w, enum tlstall_section_id ring, uint64_t ticks,
				    int32_t ret)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_CALL, .ticks = ticks, .ret = ret, .handshake = 0};

	w->h->events = ring == TLSTALL_SECTION_OPENING ? 0 : UINT8_MAX;
	return build_event(&w->b, w->h, &event);
}

#define OPENING(w, ticks, ret) append(w, TLSTALL_SECTION_OPENING, ticks, ret)
#define REST(w, ticks, ret) append(w, TLSTALL_SECTION_REST, ticks, ret)

static void assert_next(struct walk *w, int32_t ret)
{
	struct tlstall_event event;

	assert_int_equal(trace_cursor_next(w->cursor, &event), 0);
	assert_int_equal(event.ret, ret);
}

static void assert_none(struct walk *w)
{
	struct tlstall_event event;

	assert_int_equal(trace_cursor_next(w->cursor, &event), 1);
}

/* ---- order ------------------------------------------------------------------------ */

static void test_merge(void **state)
{
	struct walk w;

	(void)state;
	start(&w, NULL);
	assert_none(&w);
	OPENING(&w, 10, 1);
	OPENING(&w, 30, 3);
	REST(&w, 20, 2);
	REST(&w, 40, 4);
	REST(&w, 50, 5);
	for (int32_t i = 1; i <= 5; i++)
		assert_next(&w, i);
	assert_none(&w);
	/* and continues when more events arrive, without a refresh */
	REST(&w, 70, 7);
	OPENING(&w, 60, 6);
	assert_next(&w, 6);
	assert_next(&w, 7);
	assert_none(&w);
	assert_int_equal(trace_cursor_lost(w.cursor), 0);
	assert_int_equal(trace_damage(w.trace), 0);
	finish(&w);
}

/* Somebody may have written a duration that fits no integer, or is none. */
static void test_duration(void **state)
{
	static const struct {
		float written, read;
	} durations[] = {{24.7f, 24.7f}, {-5, 0}, {__builtin_nanf(""), 0}, {__builtin_inff(), 0}, {4e36f, 0}};
	struct walk w;

	(void)state;
	start(&w, NULL);
	for (int i = 0; i < 5; i++)
		(i & 1 ? REST(&w, 1000, i) : OPENING(&w, 1000, i))->duration = durations[i].written;
	for (int left = 5; left; left--) {
		struct tlstall_event event;

		assert_int_equal(trace_cursor_next(w.cursor, &event), 0);
		assert_float_equal(event.duration, durations[event.ret].read, 0);
		assert_int_equal(trace_event_end(&event), event.ret ? 1000 : 1024);
	}
	finish(&w);
}

/*
 * An END's duration is a rounded float, which must not move it before
 * its last op or after what follows.
 */
static void test_end_follows_its_last_call(void **state)
{
	/* floats of this size are 128 apart: one is rounded down, the other up */
	static const uint64_t took[] = {(1ull << 30) + 40, (1ull << 30) + 100};
	static const uint8_t order[] = {TLSTALL_EVENT_CALL, TLSTALL_EVENT_END,
					TLSTALL_EVENT_GET_ERROR};

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct walk w;
		struct tlstall_event event;

		start(&w, NULL);
		w.h->events = UINT8_MAX;
		w.h->retries = 9;
		build_call(&w.b, w.h, "SSL_connect", took[i] - 50, 50, 1, BUILD_NONE)->retry = 9;
		build_get_error(&w.b, w.h, took[i], 1, BUILD_NONE)->retry = 9;
		build_end(&w.b, w.h, took[i], TLSTALL_OUTCOME_OK)->retry = 9;
		for (unsigned j = 0; j < 3; j++) {
			assert_int_equal(trace_cursor_next(w.cursor, &event), 0);
			assert_int_equal(event.type, order[j]);
			if (event.type == TLSTALL_EVENT_END)
				assert_int_equal(trace_event_end(&event) < took[i], i == 0);
		}
		finish(&w);
	}
}

/* ---- not committed ------------------------------------------------------------------ */

static void test_uncommitted(void **state)
{
	struct walk w;
	struct tlstall_event *event;
	uint32_t commit;

	(void)state;
	start(&w, NULL);
	OPENING(&w, 10, 1);
	event = OPENING(&w, 20, 2);
	commit = event->commit;
	event->commit = 0;
	REST(&w, 5, 0);
	REST(&w, 30, 3);
	assert_next(&w, 0);
	assert_next(&w, 1);
	/* the other ring has an event, but the missing one may come before it */
	assert_none(&w);
	assert_none(&w);
	event->commit = commit;
	assert_next(&w, 2);
	assert_next(&w, 3);
	assert_none(&w);
	assert_int_equal(trace_damage(w.trace), 0);
	finish(&w);
}

static void test_skip(void **state)
{
	struct walk w;

	(void)state;
	start(&w, NULL);
	trace_cursor_skip(w.cursor); /* nothing to skip: no effect */
	OPENING(&w, 10, 1)->commit = 0;
	OPENING(&w, 20, 2)->commit = 12345;
	OPENING(&w, 30, 3);
	REST(&w, 40, 4);
	REST(&w, 50, 5)->commit = 0;
	REST(&w, 60, 6);
	assert_none(&w);
	trace_cursor_skip(w.cursor);
	assert_int_equal(trace_damage(w.trace), 2);
	assert_next(&w, 3);
	assert_next(&w, 4);
	assert_none(&w);
	trace_cursor_skip(w.cursor);
	assert_next(&w, 6);
	assert_none(&w);
	trace_cursor_skip(w.cursor);
	assert_int_equal(trace_damage(w.trace), 3);
	assert_int_equal(trace_cursor_lost(w.cursor), 0);
	OPENING(&w, 70, 7);
	assert_next(&w, 7);
	finish(&w);
}

/* ---- overwritten ---------------------------------------------------------------------- */

static void test_lapped(void **state)
{
	struct walk w;

	(void)state;
	start(&w, &(struct build_plan){.opening = 4, .rest = 8});
	for (int32_t i = 0; i < 30; i++)
		REST(&w, 100 + (uint64_t)i, i);
	OPENING(&w, 1, 77);
	assert_next(&w, 77);
	for (int32_t i = 22; i < 26; i++)
		assert_next(&w, i);
	assert_int_equal(trace_cursor_lost(w.cursor), 22);
	/* events that were read before they were overwritten are valid */
	for (int32_t i = 30; i < 36; i++)
		REST(&w, 100 + (uint64_t)i, i);
	for (int32_t i = 26; i < 36; i++)
		assert_next(&w, i);
	assert_none(&w);
	for (int32_t i = 36; i < 50; i++)
		REST(&w, 100 + (uint64_t)i, i);
	for (int32_t i = 42; i < 50; i++)
		assert_next(&w, i);
	assert_none(&w);
	assert_int_equal(trace_cursor_lost(w.cursor), 28);
	finish(&w);
}

/* Positions have 64 bits, commit marks 32. */
static void test_marks_wrap(void **state)
{
	struct walk w;

	(void)state;
	start(&w, &(struct build_plan){.rest = 4});
	w.b.header->rest_head = UINT32_MAX - 1;
	for (int32_t i = 0; i < 4; i++)
		REST(&w, 100, i);
	for (int32_t i = 0; i < 4; i++)
		assert_next(&w, i);
	assert_none(&w);
	assert_int_equal(trace_cursor_lost(w.cursor), UINT32_MAX - 1);
	finish(&w);
}

/* ---- written while being read ------------------------------------------------------------ */

/* A source that calls a function at the n-th read of a place. */
struct meddler {
	struct walk *walk;
	uint64_t place;
	unsigned at;
	void (*meddle)(struct walk *walk);
};

static ssize_t meddler_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct meddler *m = context;
	struct build *b = &m->walk->b;

	if (offset >= b->size)
		return 0;
	if (size > b->size - offset)
		size = b->size - offset;
	memcpy(buffer, b->bytes + offset, size);
	if (offset == m->place && m->at && !--m->at)
		m->meddle(m->walk);
	return (ssize_t)size;
}

static void start_meddled(struct walk *w, struct meddler *m, const struct build_plan *plan)
{
	build_live(w, plan);
	assert_int_equal(trace_open((struct trace_source){meddler_read, NULL, m}, &w->trace), 0);
	assert_int_equal(trace_cursor_open(w->trace, &w->cursor), 0);
}

static void lap_rest(struct walk *w)
{
	for (int32_t i = 0; i < 6; i++)
		REST(w, 200, 100 + i);
}

static void test_lapped_while_reading(void **state)
{
	struct walk w;
	struct meddler m = {.walk = &w, .meddle = lap_rest};

	(void)state;
	start_meddled(&w, &m, &(struct build_plan){.rest = 8});
	for (int32_t i = 0; i < 8; i++)
		REST(&w, 100, i);
	m.place = w.b.header->section[TLSTALL_SECTION_REST].offset;
	m.at = 1;
	/* six were overwritten while the ring was copied: the copies may be torn */
	assert_next(&w, 6);
	assert_int_equal(trace_cursor_lost(w.cursor), 6);
	assert_next(&w, 7);
	for (int32_t i = 0; i < 6; i++)
		assert_next(&w, 100 + i);
	assert_none(&w);
	finish(&w);
}

static void one_each(struct walk *w)
{
	OPENING(w, 10, 1);
	REST(w, 20, 2);
}

static void other_way(struct walk *w)
{
	REST(w, 10, 1);
	OPENING(w, 20, 2);
}

/* Between our reads of the two heads, a thread writes to one ring and then to the other. */
static void test_heads_move(void **state)
{
	static void (*const moves[])(struct walk *) = {one_each, other_way};
	static const uint64_t places[] = {offsetof(struct tlstall_header, opening_head),
					  offsetof(struct tlstall_header, rest_head)};

	(void)state;
	for (unsigned i = 0; i < 12; i++) {
		struct walk w;
		struct meddler m = {.walk = &w, .meddle = moves[i % 2], .place = places[i / 2 % 2]};
		struct tlstall_event event;
		int32_t expected = 1;

		start_meddled(&w, &m, NULL);
		m.at = 1 + i / 4;
		for (int tries = 0; tries < 8; tries++)
			if (trace_cursor_next(w.cursor, &event) == 0)
				assert_int_equal(event.ret, expected++);
		assert_int_equal(expected, 3);
		finish(&w);
	}
}

/* ---- hostile --------------------------------------------------------------------------------- */

static void test_impossible_heads(void **state)
{
	static const uint64_t heads[] = {UINT64_MAX, (1ull << 63) + 1000, UINT32_MAX};

	(void)state;
	for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		struct walk w;

		start(&w, NULL);
		w.b.header->rest_head = heads[i];
		OPENING(&w, 1, 1);
		assert_none(&w);
		trace_cursor_skip(w.cursor);
		assert_next(&w, 1);
		assert_none(&w);
		assert_int_equal(trace_damage(w.trace), 64);
		finish(&w);
	}
}

/* a real writer */

#define WRITERS 3
#define APPENDS 200000

struct writer {
	struct build *b;
	uint64_t *clock;
	uint32_t tid;
};

/* Appends as the shim does, see doc/FORMAT.md. */
static void append_live(struct build *b, enum tlstall_section_id id, struct tlstall_event *ring,
			uint64_t *head, const struct tlstall_event *event)
{
	uint64_t position = __atomic_fetch_add(head, 1, __ATOMIC_RELAXED);
	struct tlstall_event *to = &ring[position & (b->header->section[id].count - 1)];

	__atomic_store_n(&to->commit, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	memcpy((char *)to + sizeof(to->commit), (const char *)event + sizeof(event->commit),
	       sizeof(*event) - sizeof(event->commit));
	__atomic_store_n(&to->commit, (uint32_t)(position + 1), __ATOMIC_RELEASE);
}

static void *write_events(void *context)
{
	const struct writer *writer = context;
	struct build *b = writer->b;

	for (uint32_t i = 1; i <= APPENDS; i++) {
		struct tlstall_event event = {
			.tid = writer->tid,
			.retry = i,
			.ossl_error = i * writer->tid,
			.ticks = __atomic_add_fetch(writer->clock, 1, __ATOMIC_SEQ_CST),
		};

		if (i % 5 == 0)
			append_live(b, TLSTALL_SECTION_OPENING, b->opening,
				    &b->header->opening_head, &event);
		else
			append_live(b, TLSTALL_SECTION_REST, b->rest, &b->header->rest_head,
				    &event);
	}
	return NULL;
}

/* Returns the number of events read. Each thread's events are complete and in the order written. */
static uint64_t read_live(struct walk *w, uint32_t *last)
{
	struct tlstall_event event;
	uint64_t count = 0;

	for (;;) {
		int result = trace_cursor_next(w->cursor, &event);

		assert_true(result >= 0);
		if (result)
			return count;
		assert_in_range(event.tid, 1, WRITERS);
		assert_int_equal(event.ossl_error, event.retry * event.tid);
		assert_true(event.retry > last[event.tid]);
		last[event.tid] = event.retry;
		count++;
	}
}

static void test_live(void **state)
{
	struct walk w;
	struct writer writers[WRITERS];
	pthread_t threads[WRITERS];
	uint32_t last[WRITERS + 1] = {0};
	uint64_t clock = 0, count = 0, total = WRITERS * APPENDS;

	(void)state;
	start(&w, &(struct build_plan){.opening = 1024, .rest = 4096});
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){&w.b, &clock, i + 1};
		assert_int_equal(pthread_create(&threads[i], NULL, write_events, &writers[i]), 0);
	}
	while (__atomic_load_n(&w.b.header->opening_head, __ATOMIC_ACQUIRE) +
		       __atomic_load_n(&w.b.header->rest_head, __ATOMIC_ACQUIRE) <
	       total)
		count += read_live(&w, last);
	for (uint32_t i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	count += read_live(&w, last);
	assert_int_equal(count + trace_cursor_lost(w.cursor), total);
	assert_true(count > 0);
	assert_int_equal(trace_damage(w.trace), 0);
	finish(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_duration),
		cmocka_unit_test(test_end_follows_its_last_call),
		cmocka_unit_test(test_uncommitted),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_lapped),
		cmocka_unit_test(test_marks_wrap),
		cmocka_unit_test(test_lapped_while_reading),
		cmocka_unit_test(test_heads_move),
		cmocka_unit_test(test_impossible_heads),
		cmocka_unit_test(test_live),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
