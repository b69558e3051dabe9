/* SPDX-License-Identifier: Apache-2.0 */
/* Stalls outside the program: each cause, its signature, and a near miss. */
#include "make_facts.h"

/* ---- the peer --------------------------------------------------------------------- */

static void test_peer_silent(void **state)
{
	struct facts f = waiting_client(10 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.fault, FAULT_PEER);
	assert_in_range(v.cost_ns, 10 * S, 10 * S + 10 * MS);

	/* the socket of a custom BIO is unknown */
	f = waiting_client(10 * S);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_CUSTOM;
	f.read.blocking = f.write.blocking = 2;
	f.read.fd = -1;
	assert_cause(&f, PEER_SILENT);
	/* unless it was found from outside; one that merely fits may be another's */
	f.live = quiet_socket();
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.guessed = true;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	/* also if the kind of BIO usually has a descriptor */
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_SOCKET;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_CUSTOM;
	f.live.ticks = 0;
	f.fitting = 2;
	v = first_verdict(&f);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(says(&v, "2 connections"));

	f = as_server(waiting_client(10 * S));
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_true(says(&v, "no ClientHello came for 10 s"));
}

/* The peer's window is closed: it is alive, but does not read. */
static void test_peer_takes_nothing(void **state)
{
	struct facts f = waiting_client(10 * S);

	(void)state;
	f.last_error = WANT_WRITE;
	f.live = quiet_socket();
	f.live.outq = 80000;
	assert_cause(&f, PEER_SILENT);
	f.live.outq = 0;
	assert_cause(&f, APP_NOT_RESUMING);
}

/* The client spins, but what it waits for is the peer. */
static void test_silent_peer_of_a_spinning_client(void **state)
{
	struct facts f = waiting_client(1 * MS);
	struct verdict v[4];

	(void)state;
	f.age_ns = f.since_progress_ns = 3 * S;
	f.idle_ns = 0;
	f.calls = 880000;
	f.retries = f.longest_run = f.want_read = 879999;
	f.longest_run_error = WANT_READ;
	f.run_ns = 3 * S;
	assert_int_equal(judge_facts(&f, v, 4), 2);
	assert_int_equal(v[0].cause, CAUSE_PEER_SILENT);
	assert_int_equal(v[1].cause, CAUSE_BUSY_SPIN);
	/* killed, or looked at, inside a call */
	f.in_op_ns = 2000;
	assert_cause(&f, PEER_SILENT);
}

static void test_slow_peer(void **state)
{
	struct facts f = finished_after_gap(3 * S, 0);

	(void)state;
	f.at_gap = quiet_socket();
	assert_cause(&f, PEER_SILENT);

	/* inside one blocking call, shown by the states passed */
	f = finished(3 * S);
	f.read.blocking = f.write.blocking = 1;
	f.in_call_ns = f.longest_call_ns = 3 * S;
	f.state_wait_ns = 29 * S / 10;
	f.state_wait = "SSLv3/TLS write client hello";
	f.state_wait_flight = true;
	assert_cause(&f, PEER_SILENT);
}

/* Only the program knows the socket of memory BIOs; whether it waits for one is visible. */
static void test_memory_bio_and_its_thread(void **state)
{
	struct facts f = waiting_client(4 * S);
	struct verdict v;

	(void)state;
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_MEMORY;
	f.read.fd = -1;
	f.pending_in = 0;
	f.pending_out = 517;
	f.wait = TLSTALL_WAIT_POLL;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_APP_NOT_RESUMING));
	f.wait = TLSTALL_WAIT_FUTEX;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "BIO_STARVED");
	assert_int_equal(v.fault, FAULT_UNKNOWN);
	assert_true(says(&v, "does not wait for a socket: it is in futex"));

	f = finished_after_gap(3 * S, 0);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_MEMORY;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
}

static void test_rx_partial(void **state)
{
	struct facts f = waiting_client(4 * S);
	struct verdict v;

	(void)state;
	f.bytes_in = 1448;
	f.state = "SSLv3/TLS read server hello";
	f.live = quiet_socket();
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RX_PARTIAL");
	assert_true(doubts(&v, CAUSE_PEER_SILENT));
	assert_true(says(&v, "1448 B came, then nothing for 4 s"));

	/* half of the first record */
	f.state = "SSLv3/TLS write client hello";
	assert_cause(&f, RX_PARTIAL);
	f = as_server(f);
	assert_cause(&f, RX_PARTIAL);

	/*
	 * the answer to a second ClientHello is a new flight, and so
	 * is what follows our last flight
	 */
	f = waiting_client(4 * S);
	f.bytes_in = 99;
	f.hello_retry = true;
	assert_cause(&f, PEER_SILENT);
	f.hello_retry = false;
	f.bytes_in = 3000;
	f.state = "SSLv3/TLS write finished";
	assert_cause(&f, PEER_SILENT);

	/* inside a call, the message that has begun to arrive shows it */
	f = blocked_client(4 * S);
	f.next_arrived = true;
	assert_cause(&f, RX_PARTIAL);
}

static void test_dripping_peer(void **state)
{
	struct facts f = finished_after_gap(250 * MS, 0);

	(void)state;
	f.age_ns = 5 * S;
	f.gap_waiting_ns = 49 * S / 10;
	f.want_read = 20;
	f.at_end = quiet_socket();
	assert_cause(&f, RX_PARTIAL);
	f.at_end.rtt_us = 240000;
	assert_not_cause(&f, RX_PARTIAL);
}

/* ---- the path ----------------------------------------------------------------------- */

static void test_tx_not_acked(void **state)
{
	struct facts f = waiting_client(6 * S);
	struct verdict v;

	(void)state;
	f.bytes_out = f.first_flight = 1800;
	f.live = quiet_socket();
	f.live.unacked = 2;
	f.live.outq = 1800;
	f.live.retransmits = f.live.backoff = 4;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "TX_NOT_ACKED");
	assert_int_equal(v.fault, FAULT_NETWORK);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "larger than one segment (1448 B)"));
	assert_not_cause(&f, PEER_SILENT);

	/* just sent: the acknowledgment may be in flight */
	f.live.retransmits = f.live.backoff = 0;
	f.live.last_data_sent_ms = 100;
	assert_not_cause(&f, TX_NOT_ACKED);

	f = failed(SYSCALL, NULL);
	f.last_errno = 110;
	f.at_start = quiet_socket();
	assert_cause(&f, TX_NOT_ACKED);

	/* it arrived at last */
	f = finished_after_gap(3 * S, 0);
	f.at_start = f.at_gap = quiet_socket();
	f.at_gap.total_retrans = 4;
	assert_cause(&f, TX_NOT_ACKED);
	assert_not_cause(&f, PEER_SILENT);
}

/* Each retransmission of one packet doubles the timeout: two of them cost no half minute. */
static void test_waits_that_losses_do_not_explain(void **state)
{
	struct facts f = finished_after_gap(30 * S, 0);
	struct verdict v;

	(void)state;
	f.at_start = f.at_gap = quiet_socket();
	f.at_gap.total_retrans = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_true(says(&v, "2 retransmitted segments do not explain it"));
	assert_true(doubts(&v, CAUSE_TX_NOT_ACKED));
	assert_not_cause(&f, TX_NOT_ACKED);
	/* six of them can */
	f.at_gap.total_retrans = 6;
	assert_cause(&f, TX_NOT_ACKED);
	assert_not_cause(&f, PEER_SILENT);
	/* the timeout is long where the SYN was lost */
	f.at_gap.total_retrans = 3;
	f.at_start.rto_us = 3000000;
	assert_cause(&f, TX_NOT_ACKED);
	/* without a round trip, nobody knows */
	f.at_gap.total_retrans = 1;
	f.at_start.rtt_us = f.at_gap.rtt_us = 0;
	assert_cause(&f, TX_NOT_ACKED);
}

/* Unacknowledged for long, although the growing timeout has not expired. */
static void test_tx_not_acked_yet(void **state)
{
	struct facts f = waiting_client(2 * S);

	(void)state;
	f.bytes_out = 1800;
	f.live = quiet_socket();
	f.live.unacked = 1;
	f.live.bytes_acked = 1448;
	f.live.outq = 352;
	f.live.rto_us = 7000000;
	assert_cause(&f, TX_NOT_ACKED);
	assert_not_cause(&f, PEER_SILENT);
	/* the last acknowledgment has just arrived */
	f.live.last_ack_recv_ms = 20;
	assert_not_cause(&f, TX_NOT_ACKED);
}

static void test_client_hello_dropped(void **state)
{
	struct facts f = waiting_client(6 * S);
	struct verdict v;

	(void)state;
	f.bytes_out = f.first_flight = 1700;
	f.live = quiet_socket();
	f.live.bytes_acked = 1700;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CLIENT_HELLO_DROPPED");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_PEER_SILENT));
	assert_true(has_verdict(&f, CAUSE_PEER_SILENT));
	f.others.peers_ok = 3;
	assert_true(first_verdict(&f).confidence > v.confidence);

	/* a single packet is like any other */
	f.live.snd_mss = 32768;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, CLIENT_HELLO_DROPPED);
	/* most of it is early data */
	f.live.snd_mss = 1448;
	f.state = "TLSv1.3 early data";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_true(says(&v, "ClientHello and early data, 1700 B, was acknowledged"));
	assert_not_cause(&f, CLIENT_HELLO_DROPPED);
	f.state = "SSLv3/TLS write client hello";
	/* partly answered */
	f.bytes_in = 5;
	assert_not_cause(&f, CLIENT_HELLO_DROPPED);
}

static void test_tcp_not_connected(void **state)
{
	struct facts f = waiting_client(6 * S);

	(void)state;
	f.last_error = WANT_WRITE;
	f.bytes_out = f.first_flight = 0;
	f.at_start = quiet_socket();
	f.at_start.tcp_state = 2;
	assert_cause(&f, TCP_NOT_CONNECTED);
	/* connected later */
	f.live = quiet_socket();
	assert_not_cause(&f, TCP_NOT_CONNECTED);

	f = failed(SYSCALL, NULL);
	f.bytes_in = 0;
	f.last_errno = 111;
	assert_cause(&f, TCP_NOT_CONNECTED);
	f.last_errno = 107;
	assert_cause(&f, TCP_NOT_CONNECTED);
	assert_int_equal(first_verdict(&f).fault, FAULT_PROGRAM);
}

static void test_slow_but_fine(void **state)
{
	struct facts f = finished_after_gap(650 * MS, 0);
	struct verdict v;

	(void)state;
	f.age_ns = 13 * S / 10;
	f.gap_waiting_ns = 129 * S / 100;
	f.at_end = quiet_socket();
	f.at_end.rtt_us = 640000;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "SLOW_BUT_FINE");
	assert_int_equal(v.fault, FAULT_NONE);
	assert_true(says(&v, "2 round trips of 640 ms"));
	/* a packet was lost and sent again */
	f.longest_gap_ns = 18 * S / 10;
	f.at_end.rtt_us = 300000;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "SLOW_BUT_FINE");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	f.at_end.rtt_us = 400;
	assert_not_cause(&f, SLOW_BUT_FINE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_silent),
		cmocka_unit_test(test_peer_takes_nothing),
		cmocka_unit_test(test_silent_peer_of_a_spinning_client),
		cmocka_unit_test(test_slow_peer),
		cmocka_unit_test(test_memory_bio_and_its_thread),
		cmocka_unit_test(test_rx_partial),
		cmocka_unit_test(test_dripping_peer),
		cmocka_unit_test(test_tx_not_acked),
		cmocka_unit_test(test_waits_that_losses_do_not_explain),
		cmocka_unit_test(test_tx_not_acked_yet),
		cmocka_unit_test(test_client_hello_dropped),
		cmocka_unit_test(test_tcp_not_connected),
		cmocka_unit_test(test_slow_but_fine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
