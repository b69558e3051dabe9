/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine: names, ranking, the time split, healthy and unknown
 * handshakes, and the catalog's texts.
 */
#include <stdlib.h>

#include "make_facts.h"

/* ---- names -------------------------------------------------------------------- */

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(cause_name(CAUSE_PEER_SILENT), "PEER_SILENT");
	assert_string_equal(cause_name((enum cause)999), "UNKNOWN");
	assert_string_equal(fault_name(FAULT_CONFIGURATION), "configuration");
	assert_string_equal(fault_name((enum fault)99), "unknown");
	assert_string_equal(confidence_name(CONFIDENCE_HIGH), "high");
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		assert_true(strlen(cause_title((enum cause)cause)) > 10);
		for (unsigned other = 0; other < cause; other++)
			assert_string_not_equal(cause_name((enum cause)cause),
						cause_name((enum cause)other));
	}
}

/* ---- nothing is wrong ------------------------------------------------------------- */

static void test_healthy(void **state)
{
	struct facts f = finished(3 * MS);

	(void)state;
	assert_cause(&f, NONE);
	assert_int_equal(first_verdict(&f).fault, FAULT_NONE);

	/* 100 ms each way, and a retransmission */
	f = finished_after_gap(200 * MS, 0);
	assert_cause(&f, NONE);
	f = finished_after_gap(620 * MS, 0);
	f.at_start = f.at_gap = quiet_socket();
	f.at_gap.total_retrans = 2;
	assert_cause(&f, NONE);

	/* a busy machine delays a program by this much */
	f = finished_after_gap(250 * MS, 240 * MS);
	assert_cause(&f, NONE);

	/* wrk, in normal operation */
	f = finished(8 * MS);
	f.calls = 190;
	f.retries = f.want_read = 189;
	f.longest_run = 180;
	f.run_ns = 7 * MS;
	assert_cause(&f, NONE);
}

static void test_healthy_oddities(void **state)
{
	struct facts f = finished(3 * MS);

	(void)state;
	/* curl leaves entries in the queue; programs call SSL_get_error twice, or for 0 */
	f.flags = TLSTALL_HS_STALE_QUEUE | TLSTALL_HS_OVERLAP;
	f.hello_retry = true;
	f.misuse = TLSTALL_MISUSE_RET | TLSTALL_MISUSE_OTHER | TLSTALL_MISUSE_QUEUE;
	f.read.blocking = 1;
	f.want_read = 3; /* EINTR */
	f.get_errors = 0;
	assert_cause(&f, NONE);

	/* s_client: SSL_write of 0 bytes returns 0, and SSL_get_error says SYSCALL */
	f = finished(3 * MS);
	f.last_ret = 0;
	f.last_error = SYSCALL;
	assert_cause(&f, NONE);

	/* the peer says goodbye in the first read */
	f = finished(3 * MS);
	f.flags = TLSTALL_HS_FIRST_READ;
	f.first_read_error = ZERO_RETURN;
	f.alerts[f.alert_count++] = (struct tlstall_alert){.by_peer = 1, .level = 1};
	assert_cause(&f, NONE);

	/* or closes without a word */
	f = finished(3 * MS);
	f.flags = TLSTALL_HS_FIRST_READ;
	f.first_read_error = SSL;
	f.reason = "unexpected eof while reading";
	assert_cause(&f, NONE);
	f.reason = "decryption failed or bad record mac";
	assert_cause(&f, UNKNOWN);
}

static void test_in_progress(void **state)
{
	struct facts f = waiting_client(40 * MS);

	(void)state;
	assert_cause(&f, NONE);
	f = blocked_client(250 * MS);
	assert_cause(&f, NONE);
	/* with a round trip of 200 ms, 600 ms of silence are nothing unusual */
	f = waiting_client(600 * MS);
	f.at_start = quiet_socket();
	f.at_start.rtt_us = 200000;
	assert_cause(&f, NONE);
	f.at_start.rtt_us = 400;
	assert_cause(&f, PEER_SILENT);
}

/* ---- unknown ------------------------------------------------------------------------ */

static void test_unknown(void **state)
{
	struct facts f = failed(SSL, "decryption failed or bad record mac");
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_UNKNOWN);
	assert_int_equal(v.fault, FAULT_UNKNOWN);
	assert_true(says(&v, "bad record mac"));

	/* slow, and nothing explains it: the verdict says where the time went */
	f = finished(4 * S);
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_UNKNOWN);
	assert_true(says(&v, "of 4 s"));

	/* everything optional is missing */
	memset(&f, 0, sizeof(f));
	f.outcome = TLSTALL_OUTCOME_FAILED;
	assert_cause(&f, UNKNOWN);
}

static void test_abandoned(void **state)
{
	struct facts f = waiting_client(80 * MS);
	struct verdict v;

	(void)state;
	f.process_alive = false;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_UNKNOWN); /* the time is unknown */
	assert_int_equal(v.fault, FAULT_UNKNOWN);
	assert_true(says(&v, "killed between two calls"));
	f.process_exited = true;
	v = first_verdict(&f);
	assert_true(says(&v, "the process ended after 81"));

	/* inside a call, nothing says how long it has waited: the program is not blamed */
	f = waiting_client(80 * MS);
	f.process_alive = false;
	f.entered = 1;
	f.in_op_ns = 1 * MS;
	f.since_progress_ns = 0;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_UNKNOWN);
	assert_true(says(&v, "was killed inside"));

	/* a better-known cause is reported instead */
	f = freed(waiting_client(5 * S), 5 * S);
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, ABANDONED);
}

/* ---- ranking -------------------------------------------------------------------------- */

/* A slow peer, and a program that came back even later. */
static struct facts slow_peer_and_late_program(uint64_t peer, uint64_t late)
{
	struct facts f = finished_after_gap(peer + late, late);

	f.at_start = f.at_gap = quiet_socket();
	f.at_gap.inq = 2900;
	return f;
}

static void test_two_causes(void **state)
{
	struct facts f = slow_peer_and_late_program(3 * S, 1 * S);
	struct verdict v[4];

	(void)state;
	assert_int_equal(judge_facts(&f, v, 4), 2);
	assert_string_equal(cause_name(v[0].cause), "PEER_SILENT");
	assert_string_equal(cause_name(v[1].cause), "APP_NOT_RESUMING");
	assert_in_range(v[0].cost_ns, 29 * S / 10, 31 * S / 10);
	assert_in_range(v[1].cost_ns, 9 * S / 10, 11 * S / 10);

	f = slow_peer_and_late_program(1 * S, 3 * S);
	assert_int_equal(judge_facts(&f, v, 4), 2);
	assert_string_equal(cause_name(v[0].cause), "APP_NOT_RESUMING");
	assert_string_equal(cause_name(v[1].cause), "PEER_SILENT");
}

static void test_room(void **state)
{
	struct facts f = slow_peer_and_late_program(1 * S, 3 * S);
	struct verdict v[2];

	(void)state;
	assert_int_equal(judge_facts(&f, v, 0), 0);
	memset(v, 0x5a, sizeof(v));
	assert_int_equal(judge_facts(&f, v, 1), 1);
	assert_int_equal(v[0].cause, CAUSE_APP_NOT_RESUMING);
	assert_int_equal(((unsigned char *)&v[1])[0], 0x5a);
}

/* The reason for the failure precedes what took the time. */
static void test_failure_comes_first(void **state)
{
	struct facts f = failed(SSL, "certificate verify failed");
	struct verdict v[4];

	(void)state;
	f.age_ns = 5 * S + 5 * MS;
	f.longest_gap_ns = f.gap_waiting_ns = 5 * S;
	f.longest_gap_want = WANT_READ;
	assert_int_equal(judge_facts(&f, v, 4), 2);
	assert_int_equal(v[0].cause, CAUSE_CERTIFICATE);
	assert_int_equal(v[1].cause, CAUSE_PEER_SILENT);
}

/* ---- confidence -------------------------------------------------------------------------- */

static void test_confidence_rises(void **state)
{
	struct facts f = waiting_client(10 * S);
	struct verdict before = first_verdict(&f), after;

	(void)state;
	f.live = quiet_socket();
	after = first_verdict(&f);
	assert_int_equal(before.cause, CAUSE_PEER_SILENT);
	assert_int_equal(after.cause, CAUSE_PEER_SILENT);
	assert_true(after.confidence > before.confidence);
	assert_true(doubts(&before, CAUSE_TX_NOT_ACKED));
	assert_false(doubts(&after, CAUSE_TX_NOT_ACKED));
	assert_true(says(&before, "ClientHello, 517 B, was sent; nothing came for 10 s"));
	assert_true(says(&after, "ClientHello, 517 B, was acknowledged; nothing came for 10 s"));

	f = blocked_client(10 * S);
	before = first_verdict(&f);
	f.live = quiet_socket();
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.wait_syscall = "read";
	f.wait_fd = 5;
	after = first_verdict(&f);
	assert_int_equal(after.cause, CAUSE_PEER_SILENT);
	assert_true(after.confidence > before.confidence);
	assert_true(says(&after, "in read on descriptor 5"));
}

/* ---- the time split ------------------------------------------------------------------------ */

static uint64_t sum(const struct time_split *t)
{
	return t->cpu_ns + t->wait_in_call_ns + t->gap_waiting_ns + t->gap_ready_ns + t->other_ns;
}

static uint64_t some(uint64_t below)
{
	return ((uint64_t)random() << 20 ^ (uint64_t)random()) % below;
}

static void test_split_adds_up(void **state)
{
	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 20000; i++) {
		struct facts f = waiting_client(some(20 * S));

		/* times need not be consistent: clocks differ, files are damaged */
		f.age_ns = some(20 * S);
		f.cpu_ns = some(5 * S);
		f.in_call_ns = some(10 * S);
		f.gap_waiting_ns = some(10 * S);
		f.gap_ready_ns = some(10 * S);
		f.in_op_ns = i % 3 ? 0 : some(10 * S);
		f.ended = i % 2;
		f.last_error = (uint8_t)(i % 13);
		f.outcome = (uint8_t)(i % 4);
		if (i % 5 == 0)
			f.live = quiet_socket();
		f.live.inq = i % 10 ? 0 : 100;
		f.live.last_data_recv_ms = (uint32_t)some(30000);
		facts_settle(&f);
		assert_int_equal(f.time.total_ns, f.age_ns);
		assert_int_equal(sum(&f.time), f.age_ns);
		first_verdict(&f);
	}
}

static void test_split_of_an_open_gap(void **state)
{
	struct facts f = waiting_client(10 * S);

	(void)state;
	facts_settle(&f);
	assert_int_equal(f.time.gap_waiting_ns, 10 * S);
	assert_int_equal(f.time.cpu_ns, 1 * MS);
	assert_int_equal(f.time.other_ns, 0);

	/* the kernel says that data has been waiting for the last seven seconds */
	f.live = quiet_socket();
	f.live.inq = 1200;
	f.live.last_data_recv_ms = 7000;
	facts_settle(&f);
	assert_int_equal(f.time.gap_ready_ns, 7 * S);
	assert_int_equal(f.time.gap_waiting_ns, 3 * S);

	/* the program's own lookup is not a wait for the peer */
	f = waiting_client(10 * S);
	f.last_error = WANT_X509_LOOKUP;
	facts_settle(&f);
	assert_int_equal(f.time.gap_waiting_ns, 0);
	assert_int_equal(f.time.other_ns, 10 * S);

	f = blocked_client(10 * S);
	facts_settle(&f);
	assert_int_equal(f.time.wait_in_call_ns, 10 * S);
}

/* arbitrary facts */

static void scatter(void *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)bytes)[i] = random() % 4 ? 0 : (unsigned char)random();
}

/* Restores pointers and the tool's own enums, which no damaged file can set. */
static void keep_sound(struct facts *f, unsigned i)
{
	static const char *const states[] = {NULL, "", "before SSL initialization",
					     "SSLv3/TLS read server certificate",
					     "SSLv3/TLS write session ticket"};

	f->state = states[i % 5];
	f->failed_state = states[i / 5 % 5];
	f->state_wait = states[i / 25 % 5];
	f->reason = i % 7 ? NULL : "unexpected message";
	f->in_call_function = f->last_function = i % 3 ? "SSL_connect" : NULL;
	f->wait_syscall = i % 4 ? NULL : "futex";
	f->stack_symbols = i % 6 ? NULL : "getrandom < RAND_bytes < SSL_connect";
	f->wait = (enum tlstall_wait)(i % (TLSTALL_WAIT_GONE + 1));
	f->then = NULL;
	f->outcome &= 3;
	f->process_alive = i & 1;
	f->process_exited = i & 2;
	f->finished_before = i & 4;
	f->state_wait_flight = i & 8;
	f->next_arrived = i & 16;
	f->hello_retry = i & 32;
}

static void test_any_facts(void **state)
{
	(void)state;
	srandom(2);
	for (unsigned i = 0; i < 20000; i++) {
		struct facts f;

		scatter(&f, sizeof(f));
		keep_sound(&f, i);
		first_verdict(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_healthy),
		cmocka_unit_test(test_healthy_oddities),
		cmocka_unit_test(test_in_progress),
		cmocka_unit_test(test_unknown),
		cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_two_causes),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_failure_comes_first),
		cmocka_unit_test(test_confidence_rises),
		cmocka_unit_test(test_split_adds_up),
		cmocka_unit_test(test_split_of_an_open_gap),
		cmocka_unit_test(test_any_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
