/* SPDX-License-Identifier: Apache-2.0 */
/* From a trace to facts: times, gaps, states, neighbors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "build_trace.h"
#include "diagnosis/facts.h"
#include "unit/add_neighbors.h"

/* Made anew for each test: an empty trace, what it is read by, and the facts of one handshake. */
static struct build b;
static struct trace *trace;
static struct tlstall_handshake *h;
static struct facts f;

static int set_up(void **state)
{
	(void)state;
	build_trace(&b, NULL);
	trace = NULL;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	trace_close(trace);
	build_free(&b);
	return 0;
}

/*
 * A client that sent its ClientHello 1 ms after its start and got no
 * answer; the process ends at 10 s.
 */
static struct tlstall_handshake *stuck_client(void)
{
	h = build_handshake(&b, 0x5000, 1 * BUILD_S);
	build_reach(&b, h, "before SSL initialization", 1 * BUILD_S + 10 * BUILD_US);
	build_reach(&b, h, "SSLv3/TLS write client hello", 1 * BUILD_S + 300 * BUILD_US);
	build_call(&b, h, "SSL_connect", 1 * BUILD_S, 1 * BUILD_MS, -1, BUILD_WANT_READ);
	h->cpu_ns = 600 * BUILD_US;
	h->bytes_out = h->first_flight = 517;
	return h;
}

/* The facts as of now; again if what the trace holds has changed. */
static void take(const struct tlstall_handshake *of)
{
	trace_close(trace);
	trace = build_open(&b);
	facts_from_trace(trace, of, &f);
	facts_settle(&f);
}

static void test_stuck(void **state)
{
	struct verdict v[2];

	(void)state;
	take(stuck_client());
	assert_int_equal(f.age_ns, b.header->exit_ticks - 1 * BUILD_S);
	assert_int_equal(f.idle_ns, f.age_ns - 1 * BUILD_MS);
	assert_int_equal(f.since_progress_ns, f.age_ns - 300 * BUILD_US);
	assert_int_equal(f.in_op_ns, 0);
	assert_string_equal(f.state, "SSLv3/TLS write client hello");
	assert_string_equal(f.last_function, "SSL_connect");
	assert_int_equal(f.last_kind, TLSTALL_KIND_CONNECT);
	assert_false(f.process_alive);
	assert_true(f.process_exited);
	assert_int_equal(f.time.cpu_ns, 600 * BUILD_US);
	assert_int_equal(f.time.wait_in_call_ns, 400 * BUILD_US);
	assert_int_equal(f.time.gap_waiting_ns, f.idle_ns);
	assert_int_equal(f.time.other_ns, 0);
	assert_int_equal(diagnose(&f, v, 2), 1);
	assert_string_equal(cause_name(v[0].cause), "PEER_SILENT");
}

static void test_inside(void **state)
{
	(void)state;
	h = build_handshake(&b, 0x5000, 2 * BUILD_S);
	h->enter = 2 * BUILD_S;
	h->in_call_function = build_function(&b, "SSL_do_handshake");
	build_reach(&b, h, "SSLv3/TLS write client hello", 2 * BUILD_S + 1 * BUILD_MS);
	build_reach(&b, h, "SSLv3/TLS write client hello", 2 * BUILD_S + 3 * BUILD_MS);
	take(h);
	assert_int_equal(f.in_op_ns, b.header->exit_ticks - 2 * BUILD_S);
	assert_int_equal(f.time.wait_in_call_ns, f.in_op_ns);
	assert_int_equal(f.idle_ns, 0);
	assert_string_equal(f.in_call_function, "SSL_do_handshake");
	/* the same state again: the header of the next message has arrived */
	assert_true(f.next_arrived);
	assert_true(f.state_wait_flight);
	assert_int_equal(f.state_wait_ns, 2 * BUILD_MS);
}

static void test_abandoned_and_freed(void **state)
{
	(void)state;
	h = stuck_client();
	h->flags |= TLSTALL_HS_FREED;
	h->freed = 3 * BUILD_S;
	build_end(&b, h, 3 * BUILD_S, TLSTALL_OUTCOME_ABANDONED);
	take(h);
	assert_int_equal(f.age_ns, 2 * BUILD_S);
	assert_int_equal(f.free_after_ns, 2 * BUILD_S - 1 * BUILD_MS);
	assert_int_equal(f.idle_ns, f.free_after_ns);
}

/* At the time of a look, which came before that. */
static void test_before_it_was_freed(void **state)
{
	(void)state;
	h = stuck_client();
	h->flags |= TLSTALL_HS_FREED | TLSTALL_HS_LEFT | TLSTALL_HS_IDLE_CPU;
	h->freed = 3 * BUILD_S;
	/* most of it after the look */
	h->idle_cpu_ns = 1900 * BUILD_MS;
	build_end(&b, h, 3 * BUILD_S, TLSTALL_OUTCOME_ABANDONED);
	trace = build_open(&b);
	facts_at(trace, h, 1500 * BUILD_MS, &f);
	facts_settle(&f);
	assert_int_equal(f.idle_ns, 499 * BUILD_MS);
	assert_false(f.idle_cpu_known);
	assert_false(f.left);
	assert_int_equal(f.since_progress_ns, 500 * BUILD_MS - 300 * BUILD_US);
}

/* The kernel knows nothing about a memory BIO: time between calls counts as a wait for the peer. */
static void test_gaps(void **state)
{
	(void)state;
	h = stuck_client();
	h->gap_unknown = 40 * BUILD_MS;
	h->gap_waiting = 7 * BUILD_MS;
	h->gap_ready = 2 * BUILD_MS;
	build_end(&b, h, 1 * BUILD_S + 60 * BUILD_MS, TLSTALL_OUTCOME_OK);
	take(h);
	assert_int_equal(f.time.gap_waiting_ns, 7 * BUILD_MS);
	assert_int_equal(f.time.gap_ready_ns, 2 * BUILD_MS);
	assert_int_equal(f.time.other_ns, 50 * BUILD_MS);
	h->read.bio_class = TLSTALL_BIO_MEMORY;
	facts_from_trace(trace, h, &f);
	facts_settle(&f);
	assert_int_equal(f.time.gap_waiting_ns, 47 * BUILD_MS);
	assert_int_equal(f.time.other_ns, 10 * BUILD_MS);
	/* during the longest gap it waited for its own lookup */
	h->longest_gap_want = BUILD_WANT_X509_LOOKUP;
	h->longest_gap = 30 * BUILD_MS;
	facts_from_trace(trace, h, &f);
	facts_settle(&f);
	assert_int_equal(f.time.gap_waiting_ns, 17 * BUILD_MS);
	assert_int_equal(f.time.other_ns, 40 * BUILD_MS);
}

static void test_run(void **state)
{
	(void)state;
	h = stuck_client();
	h->calls = 1000;
	h->run = h->longest_run = 900;
	h->run_start = 2 * BUILD_S;
	h->leave = 5 * BUILD_S;
	take(h);
	assert_int_equal(f.run_ns, 3 * BUILD_S);
	/* read while being written: at most as long as nothing has moved */
	h->progress = trace_horizon(trace, h->process) - BUILD_S;
	facts_from_trace(trace, h, &f);
	facts_settle(&f);
	assert_int_equal(f.run_ns, BUILD_S);
	/* an earlier run: estimated by its share of the calls */
	h->run = 1;
	h->end = 3 * BUILD_S;
	facts_from_trace(trace, h, &f);
	facts_settle(&f);
	assert_in_range(f.run_ns, 1799 * BUILD_MS, 1801 * BUILD_MS);
}

static void test_hello_retry(void **state)
{
	static const char *const states[] = {
		"before SSL initialization",	"SSLv3/TLS write client hello",
		"SSLv3/TLS write client hello", "SSLv3/TLS read server hello",
		"SSLv3/TLS write client hello", "SSLv3/TLS write client hello",
	};

	(void)state;
	h = build_handshake(&b, 0x5000, 1 * BUILD_S);
	for (unsigned i = 0; i < 3; i++)
		build_reach(&b, h, states[i], 1 * BUILD_S + i * BUILD_MS);
	take(h);
	assert_false(f.hello_retry);
	for (unsigned i = 3; i < 6; i++)
		build_reach(&b, h, states[i], 1 * BUILD_S + i * BUILD_MS);
	take(h);
	assert_true(f.hello_retry);
}

/* ---- neighbors ----------------------------------------------------------------- */

static void test_same_peer(void **state)
{
	struct tlstall_handshake *other;

	(void)state;
	h = stuck_client();
	for (unsigned i = 0; i < 3; i++) {
		other = build_handshake(&b, 0x6000 + i * 64, 1 * BUILD_S);
		build_end(&b, other, 1 * BUILD_S + 5 * BUILD_MS,
			  i ? TLSTALL_OUTCOME_OK : TLSTALL_OUTCOME_FAILED);
	}
	other = build_handshake(&b, 0x7000, 1 * BUILD_S);
	other->peer.port = 9000;
	take(h);
	add_neighbors(trace, h, &f);
	assert_int_equal(f.others.peers_ok, 2);
	assert_int_equal(f.others.peers_stalled, 1);
	facts_from_trace(trace, other, &f);
	facts_settle(&f);
	add_neighbors(trace, other, &f);
	assert_int_equal(f.others.peers_ok, 0);
	assert_int_equal(f.others.peers_stalled, 0);
}

static void test_ops_of_the_thread(void **state)
{
	struct tlstall_handshake *other;

	(void)state;
	other = build_handshake(&b, 0x6000, 1 * BUILD_S);
	/* before the gap: does not count */
	build_call(&b, other, "SSL_connect", 1 * BUILD_S - 1 * BUILD_MS, 10 * BUILD_US, -1,
		   BUILD_WANT_READ);
	h = stuck_client();
	for (unsigned i = 0; i < 5; i++)
		build_call(&b, other, "SSL_connect", (2 + i) * BUILD_S, 10 * BUILD_US, -1,
			   BUILD_WANT_READ);
	/* another thread */
	build_call(&b, other, "SSL_connect", 8 * BUILD_S, 10 * BUILD_US, -1, BUILD_WANT_READ)->tid =
		77;
	take(h);
	add_neighbors(trace, h, &f);
	assert_int_equal(f.others.thread_other_ops, 5);
	assert_int_equal(f.others.polls, 2); /* it was called again and again, and that is enough */

	/* a gap that is over */
	h->longest_gap_start = 3 * BUILD_S - 1 * BUILD_MS;
	h->longest_gap = 2 * BUILD_S;
	build_end(&b, h, 6 * BUILD_S, TLSTALL_OUTCOME_OK);
	facts_from_trace(trace, h, &f);
	facts_settle(&f);
	add_neighbors(trace, h, &f);
	assert_int_equal(f.others.thread_other_ops, 2);
	assert_int_equal(f.others.polls, 1); /* nothing is known about what preceded the first op */
}

static void test_empty(void **state)
{
	const struct tlstall_handshake empty = {.number = 99, .process = 7, .libssl = 3, .state = 250};

	(void)state;
	take(&empty);
	add_neighbors(trace, &empty, &f);
	assert_int_equal(f.others.peers_ok + f.others.peers_stalled + f.others.thread_other_ops, 0);
	assert_int_equal(f.libssl_version, 0);
}

/* From the first message of the peer's flight to its last; a second flight follows our own. */
static void test_flights(void **state)
{
	(void)state;
	h = build_handshake(&b, 0x5000, 1 * BUILD_S);
	build_reach(&b, h, "SSLv3/TLS write client hello", 1 * BUILD_S + 1 * BUILD_MS);
	build_reach(&b, h, "SSLv3/TLS write client hello", 3 * BUILD_S);
	build_reach(&b, h, "SSLv3/TLS read server hello", 3 * BUILD_S + 500 * BUILD_MS);
	build_reach(&b, h, "SSLv3/TLS read server done", 4 * BUILD_S);
	build_reach(&b, h, "SSLv3/TLS write finished", 4 * BUILD_S + 1 * BUILD_MS);
	take(h);
	assert_int_equal(f.flight_ns, 1 * BUILD_S);
	/* the next flight has begun, and is incomplete when the process ends */
	build_reach(&b, h, "SSLv3/TLS write finished", 6 * BUILD_S);
	take(h);
	assert_int_equal(f.flight_ns, 1 * BUILD_S + b.header->exit_ticks - 6 * BUILD_S);
}

/* While bytes arrive the handshake moves, whatever the program's calls return. */
static void test_moves_while_bytes_come(void **state)
{
	(void)state;
	take(stuck_client());
	f.at_start = f.live = (struct tlstall_socket){.ticks = 1, .tcp_state = 1};
	f.live.last_data_recv_ms = 400;
	facts_settle(&f);
	assert_true(f.since_progress_ns > 1 * BUILD_S);
	f.live.bytes_received = 1448;
	facts_settle(&f);
	assert_int_equal(f.since_progress_ns, 400 * BUILD_MS);
}

/* By its host's clock the program began in 1970; the clock was set later. */
static void test_clock_that_was_set(void **state)
{
	const int64_t years = 1500000000;

	(void)state;
	take(stuck_client());
	assert_in_range(f.clock_step_s + 1, 0, 2);
	b.header->first.realtime_ns = 100 * BUILD_S;
	b.header->last.realtime_ns = (uint64_t)years * BUILD_S + 100 * BUILD_S;
	take(stuck_client());
	assert_in_range(f.realtime_s, 100, 200);
	assert_in_range(f.clock_step_s, years - 100, years);
}

#define facts_test(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		facts_test(test_stuck),
		facts_test(test_flights),
		facts_test(test_clock_that_was_set),
		facts_test(test_moves_while_bytes_come),
		facts_test(test_inside),
		facts_test(test_abandoned_and_freed),
		facts_test(test_before_it_was_freed),
		facts_test(test_gaps),
		facts_test(test_run),
		facts_test(test_hello_retry),
		facts_test(test_same_peer),
		facts_test(test_ops_of_the_thread),
		facts_test(test_empty),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
