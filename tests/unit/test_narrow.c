/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that arrive or leave slowly: is the network to blame, or the peer? */
#include "make_facts.h"

/* Four full segments, the last one a second ago: a flight in progress. */
static struct facts slow_flight(void)
{
	struct facts f = waiting_client(1 * S);

	f.age_ns = 6 * S;
	f.gap_waiting_ns = 5 * S - 2 * MS;
	f.longest_gap_ns = 3 * S / 2;
	f.flight_ns = 11 * S / 2;
	f.calls = f.want_read = 5;
	f.bytes_in = 4 * 1448;
	f.at_start = f.live = quiet_socket();
	f.live.bytes_received = 4 * 1448;
	f.live.data_segs_in = 4;
	f.state = "TLSv1.3 read encrypted extensions";
	return f;
}

static void test_narrow_path(void **state)
{
	struct facts f = slow_flight();
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_string_equal(cause_name(v.cause), "NARROW_PATH");
	assert_int_equal(v.fault, FAULT_NETWORK);
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(says(&v, "5792 B came in 4 segments over 5.5 s: 1053 B per second"));
	assert_true(doubts(&v, CAUSE_RX_PARTIAL));
	assert_not_cause(&f, RX_PARTIAL);
	assert_not_cause(&f, PEER_SILENT);

	/* the next one is long overdue */
	f.live.last_data_recv_ms = 20000;
	f.idle_ns = f.since_progress_ns = 20 * S;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RX_PARTIAL");
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);

	/* too few to decide: the likelier cause, with the alternative mentioned */
	f = slow_flight();
	f.bytes_in = f.live.bytes_received = 2 * 1448;
	f.live.data_segs_in = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RX_PARTIAL");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_NARROW_PATH));

	/* small segments: the sender trickles them */
	f = slow_flight();
	f.bytes_in = f.live.bytes_received = 600;
	assert_cause(&f, RX_PARTIAL);
	assert_not_cause(&f, NARROW_PATH);
}

/* Two looks six seconds apart: what came in between. */
static void test_narrow_path_from_outside(void **state)
{
	struct facts f = slow_flight();
	struct verdict v;

	(void)state;
	f.flags |= TLSTALL_HS_LOOKED;
	f.calls = f.want_read = 1;
	f.flight_ns = 0;
	f.since_progress_ns = f.idle_ns = 0;
	f.bytes_in = f.live.bytes_received = 7 * 1448;
	f.live.data_segs_in = 7;
	f.at_start.bytes_received = 3 * 1448;
	f.at_start.data_segs_in = 3;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "NARROW_PATH");
	assert_true(says(&v, "5792 B came in 4 segments over 6 s: 965 B per second"));
	/* one look alone does not tell */
	f.at_start.ticks = 0;
	assert_not_cause(&f, NARROW_PATH);
	/* nor does a server that drips */
	f.at_start.ticks = 1;
	f.live.bytes_received = 3 * 1448 + 4;
	assert_not_cause(&f, NARROW_PATH);
}

static void test_narrow_path_afterwards(void **state)
{
	struct facts f = slow_flight();
	struct verdict v;

	(void)state;
	f.outcome = TLSTALL_OUTCOME_OK;
	f.ended = true;
	f.last_error = NONE;
	f.idle_ns = 0;
	f.at_end = f.live;
	f.live.ticks = 0;
	assert_cause(&f, NARROW_PATH);
	/* with a custom BIO, an earlier look shows it */
	f.seen = f.at_end;
	f.at_end.ticks = f.at_start.ticks = 0;
	assert_cause(&f, NARROW_PATH);
	/* one pause accounts for most of it */
	f.longest_gap_ns = 5 * S;
	f.longest_gap_want = WANT_READ;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_true(doubts(&v, CAUSE_NARROW_PATH));
	/* the flight arrived at once: the wait was for its first byte */
	f.flight_ns = 2 * MS;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_false(doubts(&v, CAUSE_NARROW_PATH));
}

/* One blocking call of a client that reads the whole flight between two states. */
static struct facts held_client(uint16_t version, const char *state, uint32_t last_ms)
{
	struct facts f = finished(6 * S);

	f.calls = 1;
	f.version = version;
	f.read.blocking = f.write.blocking = 1;
	f.in_call_ns = f.longest_call_ns = 6 * S;
	f.state_wait_ns = f.flight_ns = 11 * S / 2;
	f.state_wait = state;
	f.at_start = f.at_end = quiet_socket();
	f.at_end.last_data_recv_ms = last_ms;
	f.bytes_in = f.at_end.bytes_received = 10000;
	f.at_end.data_segs_in = 8;
	return f;
}

static void test_narrow_path_or_callback(void **state)
{
	struct facts f = held_client(0x0304, "SSLv3/TLS read server hello", 2), then;
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_string_equal(cause_name(v.cause), "NARROW_PATH");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_not_cause(&f, CALLBACK_BLOCKED);
	assert_not_cause(&f, PEER_SILENT);
	/* all data had arrived, and the call did not return */
	f = held_client(0x0304, "TLSv1.3 read encrypted extensions", 5400);
	assert_cause(&f, CALLBACK_BLOCKED);
	/* tickets arrived before the call returned: the last byte proves nothing */
	f.at_end.last_data_recv_ms = 0;
	f.at_end.bytes_received += 500;
	assert_cause(&f, CALLBACK_BLOCKED);
	/* a look during the call saw a lock */
	then = blocked_client(3 * S);
	then.wait = TLSTALL_WAIT_FUTEX;
	facts_settle(&then);
	f.then = &then;
	assert_cause(&f, LOCK_OR_ENTROPY);
	assert_not_cause(&f, CALLBACK_BLOCKED);
	/* in TLS 1.2 the server's last flight follows the callbacks */
	f = held_client(0x0303, "SSLv3/TLS read server hello", 2);
	assert_cause(&f, CALLBACK_BLOCKED);
	f = held_client(0x0303, "SSLv3/TLS write client hello", 2);
	assert_cause(&f, NARROW_PATH);
	/* small segments, or a long pause between few of them: the peer's fault */
	f = held_client(0x0304, "SSLv3/TLS read server hello", 2);
	f.at_end.data_segs_in = 100;
	assert_cause(&f, RX_PARTIAL);
	f.bytes_in = f.at_end.bytes_received = 2000;
	f.at_end.data_segs_in = 2;
	assert_cause(&f, PEER_SILENT);
}

/* A server whose flight of eight segments saturates the path. */
static void test_narrow_path_of_the_sender(void **state)
{
	struct facts f = as_server(waiting_client(5 * S));
	struct verdict v;

	(void)state;
	f.bytes_out = 10000;
	f.at_start = f.live = quiet_socket();
	f.live.bytes_acked += 4000;
	f.live.outq = 6000;
	f.live.unacked = 5;
	f.live.rtt_us = 900000;
	f.live.last_ack_recv_ms = 700;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "NARROW_PATH");
	assert_int_equal(v.fault, FAULT_NETWORK);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "a round trip took 400 us at first and 0.9 s later"));
	assert_not_cause(&f, PEER_SILENT);
	/* none of it arrives */
	f.live.bytes_acked = f.at_start.bytes_acked;
	f.live.outq = 10000;
	f.live.last_ack_recv_ms = 5000;
	f.live.retransmits = 3;
	assert_cause(&f, TX_NOT_ACKED);

	/* it is over: the server waited for the client's answer */
	f = as_server(finished_after_gap(6 * S, 0));
	f.bytes_out = 10000;
	f.at_start = f.at_gap = f.at_end = quiet_socket();
	assert_cause(&f, PEER_SILENT);
	f.at_end.rtt_us = 3000000;
	assert_cause(&f, NARROW_PATH);
	assert_not_cause(&f, PEER_SILENT);
	assert_not_cause(&f, SLOW_BUT_FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_narrow_path),
		cmocka_unit_test(test_narrow_path_from_outside), cmocka_unit_test(test_narrow_path_afterwards),
		cmocka_unit_test(test_narrow_path_or_callback),
		cmocka_unit_test(test_narrow_path_of_the_sender),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
