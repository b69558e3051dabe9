/* SPDX-License-Identifier: Apache-2.0 */
/* Which of several causes leads, what a look during the hang is worth, and what is uncertain. */
#include "make_facts.h"

static void assert_order(const struct facts *f, enum cause first, enum cause second)
{
	struct verdict v[4];
	unsigned count = judge_facts(f, v, 4);

	assert_in_range(count, 2, 4);
	assert_string_equal(cause_name(v[0].cause), cause_name(first));
	assert_string_equal(cause_name(v[1].cause), cause_name(second));
}

/* ---- a cause before what follows from it ------------------------------------------------ */

/* A server that read a ClientHello `late` ns after its arrival, and whose client hangs up. */
static struct facts left_server(uint64_t late, uint64_t took)
{
	struct facts f = as_server(failed(SSL, "unexpected eof while reading"));

	f.age_ns = took;
	f.calls = 1;
	f.retries = 0;
	f.bytes_in = 517;
	f.bytes_out = 2133;
	f.at_start = accepted_socket((uint32_t)(late / MS));
	f.at_start.bytes_received++; /* the end of the stream */
	return f;
}

static void test_late_server(void **state)
{
	struct facts f = left_server(300 * MS, 5 * MS);
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_string_equal(cause_name(v.cause), "LATE_START");
	assert_int_equal(v.cost_ns, 300 * MS); /* not clipped to the handshake */
	assert_order(&f, CAUSE_LATE_START, CAUSE_PEER_CLOSED);
	/* the consequence took longer than the cause */
	f = left_server(1500 * MS, 4 * S);
	assert_order(&f, CAUSE_LATE_START, CAUSE_PEER_CLOSED);
	f = left_server(300 * MS, 5 * MS);
	/* gone before the first call */
	f.at_start.tcp_state = 8;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f = left_server(40 * MS, 5 * MS);
	assert_not_cause(&f, LATE_START);
	/* a tenth of a second means nothing to a client that stayed for minutes */
	f = left_server(150 * MS, 60 * S);
	assert_cause(&f, PEER_CLOSED);
	/* it succeeded: a busy machine is late by that much */
	f = as_server(finished(4 * MS));
	f.at_start = accepted_socket(300);
	assert_cause(&f, NONE);
	/* its process dies of SIGPIPE in the first call: it was as late */
	f = as_server(blocked_client(2 * MS));
	f.calls = 0;
	f.process_alive = false;
	f.at_start = accepted_socket(4000);
	assert_cause(&f, LATE_START);
}

static void test_server_that_waits_for_its_client(void **state)
{
	struct facts f = as_server(finished(1 * S));

	(void)state;
	f.before_start_ns = 6 * S;
	f.longest_call_ns = 1 * MS;
	f.first_read_ns = 900 * MS; /* the first op found nothing */
	assert_not_cause(&f, LATE_START);
	f.first_read_ns = 0; /* nothing ever arrived */
	assert_not_cause(&f, LATE_START);
	f.first_read_ns = MS / 2;
	assert_cause(&f, LATE_START);
}

static void test_client_that_keeps_its_connection_waiting(void **state)
{
	struct facts f = finished(4 * MS);

	(void)state;
	f.at_start = quiet_socket();
	f.at_start.bytes_acked = 1;
	f.at_start.last_ack_recv_ms = 3000;
	assert_cause(&f, LATE_START);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	/* plain text was sent over it: STARTTLS */
	f.at_start.bytes_acked = 40;
	assert_cause(&f, NONE);
	f.connected_ms = 3000;
	assert_cause(&f, LATE_START);
}

static void test_silent_client_of_an_accept_loop(void **state)
{
	struct facts f = as_server(failed(ZERO_RETURN, NULL));

	(void)state;
	f.age_ns = f.longest_call_ns = f.state_wait_ns = f.in_call_ns = 8 * S;
	f.calls = 1;
	f.retries = 0;
	f.bytes_in = 0;
	f.read.blocking = f.write.blocking = 1;
	f.state_wait = "before SSL initialization";
	f.state_wait_flight = true;
	assert_cause(&f, PEER_CLOSED);
	f.thread_handshakes = 20;
	assert_cause(&f, ACCEPT_LOOP_BLOCKED);
	assert_true(has_verdict(&f, CAUSE_PEER_CLOSED));
	assert_int_equal(first_verdict(&f).fault, FAULT_PROGRAM);
}

/* An alert without a known cause, after a long wait: the wait is not why it failed. */
static void test_failure_that_nothing_explains(void **state)
{
	struct facts f = failed(SSL, "tlsv1 alert internal error");

	(void)state;
	f.age_ns = 3 * S;
	f.longest_gap_ns = f.gap_waiting_ns = 29 * S / 10;
	f.longest_gap_want = WANT_READ;
	with_alert(&f, true, 80);
	assert_order(&f, CAUSE_UNKNOWN, CAUSE_PEER_SILENT);
	/* a reason that explains it */
	f.reason = "tlsv1 alert protocol version";
	f.alerts[0].description = 70;
	assert_order(&f, CAUSE_PROTOCOL_MISMATCH, CAUSE_PEER_SILENT);
}

/* The stream ended after our side was shut down, but not the peer's. */
static void test_shut_down_here(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.at_end = quiet_socket();
	f.at_end.tcp_state = 8;
	assert_cause(&f, PEER_CLOSED);
	f.at_end.tcp_state = 5;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "ABANDONED");
	assert_true(says(&v, "shut down on this side"));
}

/* Stopped when it was looked at: how long the peer took is unknown. */
static void test_stopped_meanwhile(void **state)
{
	struct facts f = finished_after_gap(3 * S, 0), then = waiting_client(1 * S);

	(void)state;
	assert_cause(&f, PEER_SILENT);
	then.wait = TLSTALL_WAIT_STOPPED;
	facts_settle(&then);
	f.then = &then;
	assert_cause(&f, APP_NOT_RESUMING);
	assert_not_cause(&f, PEER_SILENT);
}

static void test_overload(void **state)
{
	struct facts f = left_server(2 * S, 10 * MS);

	(void)state;
	f.others = (struct neighborhood){
		.window_ns = 2 * S, .busy_ns = 19 * S / 10, .window_handshakes = 350};
	f.sign_ns = 5 * MS;
	assert_order(&f, CAUSE_OVERLOAD, CAUSE_LATE_START);
	assert_true(has_verdict(&f, CAUSE_PEER_CLOSED));
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "95 %"));
	f.key_type = 6;
	f.key_bits = 4096;
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "key: RSA, 4096 bits"));
	f.key_type = 9999;
	f.key_bits = 0;
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "key: #9999"));
	/* it did something else */
	f.others.busy_ns = 1 * S / 2;
	f.others.rest_ns = 1 * S;
	assert_not_cause(&f, OVERLOAD);
	/* on a busy machine it also waits for a CPU between its calls */
	f.others.busy_ns = 9 * S / 10;
	f.others.rest_ns = 30 * MS;
	assert_order(&f, CAUSE_OVERLOAD, CAUSE_LATE_START);
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "longer than 30 ms"));
	/* it rested, or had not that many to serve */
	f.others.rest_ns = 300 * MS;
	assert_not_cause(&f, OVERLOAD);
	f.others.rest_ns = 30 * MS;
	f.others.window_handshakes = 10;
	assert_not_cause(&f, OVERLOAD);
	f.others.window_handshakes = 350;
	/* blocked calls are not work */
	f.others.busy_ns = 2 * S;
	f.read.blocking = 1;
	assert_not_cause(&f, OVERLOAD);
}

/* ---- a busy event loop --------------------------------------------------------------------- */

static void test_hole_in_the_threads_activity(void **state)
{
	struct facts f = finished_after_gap(4 * S, 2 * S);
	struct verdict v;

	(void)state;
	f.at_start = f.at_gap = quiet_socket();
	f.at_gap.inq = 517;
	/* a burst of calls at its end */
	f.others.thread_other_ops = 9;
	f.others.hole_ns = 2 * S - 5 * MS;
	f.others.hole_waiters = 5;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_true(says(&v, "5 other handshakes"));
	assert_not_cause(&f, WRONG_INTEREST);
	/* calls all the time */
	f.others.hole_ns = 200 * MS;
	f.others.polls = 2;
	assert_cause(&f, WRONG_INTEREST);
}

static void test_loop_that_spins(void **state)
{
	struct facts f = waiting_client(5 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	f.burnt_ns = 4 * S;
	f.burnt_ran_ns = 4 * S;
	f.burnt_system_ns = 3 * S;
	f.burnt_over_ns = 41 * S / 10;
	assert_order(&f, CAUSE_PEER_SILENT, CAUSE_BUSY_SPIN);
	/* it serves others */
	f.others.thread_other_ops = 4000;
	assert_not_cause(&f, BUSY_SPIN);
	f.others.thread_other_ops = 0;
	/* it sleeps */
	f.burnt_ns = f.burnt_ran_ns = 100 * MS;
	assert_not_cause(&f, BUSY_SPIN);
	/* the shim's own reading, at the end of a gap */
	f = finished_after_gap(3 * S, 0);
	f.gap_cpu_known = true;
	f.gap_cpu_ns = 29 * S / 10;
	assert_true(has_verdict(&f, CAUSE_BUSY_SPIN));
	f.longest_gap_want = NONE;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "BUSY_SPIN");
	assert_true(says(&v, "whether its socket was ready is not known"));
	assert_true(doubts(&v, CAUSE_APP_NOT_RESUMING));
	f.at_gap = quiet_socket();
	v = first_verdict(&f);
	assert_true(says(&v, "its socket was not ready"));
	assert_false(doubts(&v, CAUSE_APP_NOT_RESUMING));
	f.gap_cpu_ns = 1 * S;
	assert_not_cause(&f, BUSY_SPIN);
}

static void test_loop_that_computes(void **state)
{
	struct facts f = finished_after_gap(6 * S, 0);

	(void)state;
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_MEMORY;
	f.gap_cpu_known = true;
	f.gap_cpu_ns = 59 * S / 10;
	assert_cause(&f, APP_NOT_RESUMING);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	/* for other handshakes */
	f.others.thread_other_ops = 500;
	f.others.hole_ns = 50 * MS;
	assert_not_cause(&f, APP_NOT_RESUMING);
	f.others = (struct neighborhood){0};
	f.gap_cpu_ns = 200 * MS;
	assert_cause(&f, PEER_SILENT);
}

/* ---- after a failure ------------------------------------------------------------------------ */

static void test_fatal_ignored(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v[4];

	(void)state;
	f.last_errno = 111; /* ECONNREFUSED */
	f.bytes_in = 0;
	f.fatal_calls = 15232;
	f.fatal_ns = 5 * S;
	f.fatal_cpu_ns = 5 * S;
	assert_order(&f, CAUSE_TCP_NOT_CONNECTED, CAUSE_FATAL_IGNORED);
	judge_facts(&f, v, 4);
	assert_true(says(&v[1], "15232 more times"));
	/* a look after the failure shows nothing about the handshake */
	f.burnt_ns = f.burnt_ran_ns = f.burnt_over_ns = 3 * S;
	assert_not_cause(&f, BUSY_SPIN);
	/* one more call is not a loop */
	f.fatal_calls = 2;
	assert_not_cause(&f, FATAL_IGNORED);
}

/* ---- what was seen while it hung ------------------------------------------------------------- */

static void test_look_outlives_the_end(void **state)
{
	struct facts f = failed(SSL, "unexpected eof while reading"), then = waiting_client(3 * S);
	struct verdict v;

	(void)state;
	f.age_ns = 5 * S;
	f.longest_gap_ns = 49 * S / 10;
	assert_cause(&f, PEER_CLOSED);
	/* bytes were waiting, and the loop slept */
	then.live = quiet_socket();
	then.live.inq = 2900;
	then.live.last_data_recv_ms = 2900;
	then.wait = TLSTALL_WAIT_SLEEP;
	facts_settle(&then);
	f.then = &then;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_true(says(&v, "this was seen"));
	assert_true(has_verdict(&f, CAUSE_PEER_CLOSED));

	/* nothing is reported about a handshake that ended well and quickly */
	f = finished(700 * MS);
	f.then = &then;
	assert_cause(&f, NONE);
}

/* The process was killed inside the call: the last look was surer than what is left. */
static void test_look_that_was_surer(void **state)
{
	struct facts f = blocked_client(5 * S), then = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.state = then.state = "TLSv1.3 read encrypted extensions";
	f.process_alive = false;
	f.since_progress_ns = 700 * MS;
	then.live = quiet_socket();
	then.live.bytes_received = 700;
	then.wait = TLSTALL_WAIT_ON_SOCKET;
	facts_settle(&then);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	f.then = &then;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_RX_PARTIAL);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "this was seen 3 s after the start"));
	/* its end tells more about one that ended well */
	f = finished_after_gap(3 * S, 0);
	v = first_verdict(&f);
	then = waiting_client(1 * S);
	then.live = quiet_socket();
	facts_settle(&then);
	f.then = &then;
	assert_int_equal(first_verdict(&f).cause, CAUSE_PEER_SILENT);
	assert_int_equal(first_verdict(&f).confidence, v.confidence);
}

/*
 * On a busy machine, a thread that was just woken waits for a CPU. Its kernel had been told that the
 * peer cannot be reached.
 */
static void test_woken_when_it_was_looked_at(void **state)
{
	struct facts f = failed(SYSCALL, NULL), then = blocked_client(1400 * MS);

	(void)state;
	f.last_errno = 113; /* EHOSTUNREACH */
	f.bytes_in = 0;
	f.calls = 1;
	f.read.blocking = f.write.blocking = 1;
	f.age_ns = f.in_call_ns = f.longest_call_ns = 1410 * MS;
	f.cpu_ns = 4 * MS;
	then.wait = TLSTALL_WAIT_RUNNING;
	then.live = quiet_socket();
	then.live.unacked = 1;
	then.live.retransmits = 3;
	facts_settle(&then);
	f.then = &then;
	assert_cause(&f, TX_NOT_ACKED);
	assert_not_cause(&f, CPU_HEAVY);
	/* two looks: it has had no CPU since the first */
	then.burnt_over_ns = then.burnt_ns = 500 * MS;
	assert_true(has_verdict(&f, CAUSE_CPU_HEAVY));
	/* nobody has measured what the call used */
	then.burnt_over_ns = then.burnt_ns = 0;
	f.flags |= TLSTALL_HS_CPU_UNKNOWN;
	assert_true(has_verdict(&f, CAUSE_CPU_HEAVY));
}

/* ---- in a child of fork() --------------------------------------------------------------------- */

static void test_lock_held_at_fork(void **state)
{
	struct facts f = blocked_client(4 * S);

	(void)state;
	f.wait = TLSTALL_WAIT_FUTEX;
	f.forked = f.private_lock = true;
	f.threads = 1;
	assert_cause(&f, LOCK_HELD_AT_FORK);
	assert_int_equal(first_verdict(&f).fault, FAULT_PROGRAM);
	assert_not_cause(&f, LOCK_OR_ENTROPY);
	/* another thread may release it; so may another process */
	f.threads = 2;
	assert_cause(&f, LOCK_OR_ENTROPY);
	f.threads = 1;
	f.private_lock = false;
	assert_cause(&f, LOCK_OR_ENTROPY);
	f.private_lock = true;
	f.forked = false;
	assert_cause(&f, LOCK_OR_ENTROPY);
}

/* ---- killed, left, listening ------------------------------------------------------------------- */

static void test_left_by_longjmp(void **state)
{
	struct facts f = waiting_client(80 * MS);

	(void)state;
	f.calls = f.want_read = 0;
	f.flags |= TLSTALL_HS_LEFT;
	assert_cause(&f, ABANDONED);
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "longjmp"));
	f.flags = 0;
	assert_cause(&f, NONE);
}

static void test_stateless_step(void **state)
{
	struct facts f = freed(as_server(waiting_client(1 * MS)), 1 * S);

	(void)state;
	f.flags |= TLSTALL_HS_LISTEN;
	f.last_error = NONE;
	assert_cause(&f, NONE);
	f.flags &= ~TLSTALL_HS_LISTEN;
	assert_cause(&f, ABANDONED);
}

static void test_two_on_one_socket(void **state)
{
	struct facts f = failed(SSL, "wrong version number");

	(void)state;
	assert_not_cause(&f, TWO_ON_ONE_SOCKET);
	f.others.same_socket = true;
	assert_cause(&f, TWO_ON_ONE_SOCKET);
	f.others.same_socket = false;
	f.others.same_descriptor = true;
	assert_cause(&f, TWO_ON_ONE_SOCKET);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	f = finished(4 * MS);
	f.others.same_socket = true;
	assert_cause(&f, NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_late_server),
		cmocka_unit_test(test_server_that_waits_for_its_client),
		cmocka_unit_test(test_client_that_keeps_its_connection_waiting),
		cmocka_unit_test(test_silent_client_of_an_accept_loop),
		cmocka_unit_test(test_failure_that_nothing_explains),
		cmocka_unit_test(test_shut_down_here),
		cmocka_unit_test(test_stopped_meanwhile),
		cmocka_unit_test(test_overload),
		cmocka_unit_test(test_hole_in_the_threads_activity),
		cmocka_unit_test(test_loop_that_spins),
		cmocka_unit_test(test_loop_that_computes),
		cmocka_unit_test(test_fatal_ignored),
		cmocka_unit_test(test_look_outlives_the_end),
		cmocka_unit_test(test_look_that_was_surer),
		cmocka_unit_test(test_woken_when_it_was_looked_at),
		cmocka_unit_test(test_lock_held_at_fork),
		cmocka_unit_test(test_left_by_longjmp),
		cmocka_unit_test(test_stateless_step),
		cmocka_unit_test(test_two_on_one_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
