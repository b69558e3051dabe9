/* SPDX-License-Identifier: Apache-2.0 */
/* A trace's ticks, in nanoseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "trace/reader.h"
#include "unit/build_trace.h"

static void test_time(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	trace = build_open(&b);
	assert_int_equal(trace_span_ns(trace, 12345), 12345);
	assert_int_equal(trace_realtime_ns(trace, 0), BUILD_EPOCH_NS);
	assert_int_equal(trace_realtime_ns(trace, 3 * BUILD_MS + 1),
			 BUILD_EPOCH_NS + 3 * BUILD_MS + 1);
	assert_int_equal(trace_realtime_ns(trace, 20 * BUILD_S), BUILD_EPOCH_NS + 20 * BUILD_S);
	assert_false(trace_is_local(trace));
	trace_close(trace);
	build_free(&b);
}

/* A counter of 2.5 GHz that was running before. */
static void build_counter(struct build *b)
{
	build_trace(b, NULL);
	b->header->clock_source = TLSTALL_CLOCK_TSC;
	b->header->first = (struct tlstall_clock_pair){5000000000, 1000, BUILD_EPOCH_NS};
	b->header->last =
		(struct tlstall_clock_pair){7500000000, 1000 + BUILD_S, BUILD_EPOCH_NS + BUILD_S};
}

static void test_times_beyond_all_clocks(void **state)
{
	struct tlstall_handshake *h;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, BUILD_MS);
	h->start_realtime_ns = UINT64_MAX;
	b.header->last.realtime_ns = UINT64_MAX - 1;
	trace = build_open(&b);
	assert_int_equal(trace_start_ns(trace, h), TRACE_LAST_NS);
	assert_int_equal(trace_realtime_ns(trace, UINT64_MAX), TRACE_LAST_NS);
	assert_int_equal(trace_realtime_ns(trace, 9 * BUILD_S), TRACE_LAST_NS - BUILD_S);
	trace_close(trace);
	build_free(&b);
}

static void test_counter(void **state)
{
	struct tlstall_clock_pair now = {12500000000, 1000 + 4 * BUILD_S,
					 BUILD_EPOCH_NS + 3600 * BUILD_S};
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	trace = build_open(&b);
	assert_int_equal(trace_span_ns(trace, 2500), 1000);
	assert_int_equal(trace_realtime_ns(trace, 5000000000), BUILD_EPOCH_NS);
	assert_int_equal(trace_realtime_ns(trace, 6250000000), BUILD_EPOCH_NS + BUILD_S / 2);
	/* now: the rate differs, and the wall clock was set forward meanwhile */
	trace_set_now(trace, now);
	assert_int_equal(trace_span_ns(trace, 7500000000), 4 * BUILD_S);
	assert_int_equal(trace_realtime_ns(trace, 12500000000), BUILD_EPOCH_NS + 3600 * BUILD_S);
	assert_int_equal(trace_realtime_ns(trace, 5000000000), BUILD_EPOCH_NS + 3596 * BUILD_S);
	trace_close(trace);
	build_free(&b);
}

static void test_clock_pairs_that_tell_nothing(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	b.header->last = b.header->first;
	trace = build_open(&b); /* a guess, but a number */
	assert_in_range(trace_span_ns(trace, 1000000), 100000, 2000000);
	trace_close(trace);
	b.header->last.ticks = 0;
	trace = build_open(&b);
	assert_in_range(trace_span_ns(trace, 1000000), 100000, 2000000);
	assert_int_equal(trace_span_ns(trace, UINT64_MAX) > BUILD_S, 1);
	trace_close(trace);
	build_free(&b);
}

/* The writer of the second pair was killed, or is caught, while writing it. */
static void test_half_written_pair(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_counter(&b);
	b.header->last_sequence = 7;
	b.header->last.realtime_ns = 1;
	trace = build_open(&b);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS);
	b.header->last_sequence = 8;
	b.header->last.realtime_ns = BUILD_EPOCH_NS + BUILD_S;
	assert_int_equal(trace_refresh(trace), 0);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS + BUILD_S);
	b.header->last_sequence = 9;
	b.header->last.realtime_ns = 1;
	assert_int_equal(trace_refresh(trace), 0);
	assert_int_equal(trace_header(trace)->last.realtime_ns, BUILD_EPOCH_NS + BUILD_S);
	trace_close(trace);
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_times_beyond_all_clocks),
		cmocka_unit_test(test_counter),
		cmocka_unit_test(test_clock_pairs_that_tell_nothing),
		cmocka_unit_test(test_half_written_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
