/* SPDX-License-Identifier: Apache-2.0 */
/* Stalls within the program: each cause, its signature, and a near miss. */
#include "make_facts.h"

static void test_app_not_resuming(void **state)
{
	struct facts f = finished_after_gap(3 * S, 28 * S / 10);
	struct verdict v;

	(void)state;
	f.at_gap = quiet_socket();
	f.at_gap.inq = 2900;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "2900 B were unread in the socket, for 2.8 s"));

	/* while it hangs */
	f = waiting_client(5 * S);
	f.live = quiet_socket();
	f.live.inq = 1200;
	f.live.last_data_recv_ms = 4900;
	assert_cause(&f, APP_NOT_RESUMING);
	assert_not_cause(&f, PEER_SILENT);
	/* the end of the peer's stream counts as one byte */
	f.live.inq = 1;
	f.live.tcp_state = 8;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_true(says(&v, "the peer closed the connection"));
	f.live.tcp_state = 1;
	f.live.inq = 0;
	assert_cause(&f, PEER_SILENT);

	/* stopped by a signal */
	f.wait = TLSTALL_WAIT_STOPPED;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_true(doubts(&v, CAUSE_PEER_SILENT));
}

static void test_wrong_interest(void **state)
{
	struct facts f = waiting_client(5 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	f.live.inq = 1200;
	f.live.last_data_recv_ms = 4900;
	f.wait = TLSTALL_WAIT_POLL;
	f.wait_syscall = "epoll_wait";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "WRONG_INTEREST");
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "waits in epoll_wait"));
	assert_not_cause(&f, APP_NOT_RESUMING);
	/* poll() on this socket only, for another event */
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	assert_cause(&f, WRONG_INTEREST);
	/* it is in another loop inside of its loop */
	f.wait = TLSTALL_WAIT_POLL_OTHERS;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(says(&v, "in epoll_wait, which waits for other descriptors only"));
	assert_true(doubts(&v, CAUSE_WRONG_INTEREST));
	assert_not_cause(&f, WRONG_INTEREST);
	/* it is elsewhere: nobody polls */
	f.wait = TLSTALL_WAIT_SLEEP;
	assert_cause(&f, APP_NOT_RESUMING);
	/* it polls, and nothing is available */
	f.wait = TLSTALL_WAIT_POLL;
	f.live.inq = 0;
	assert_cause(&f, PEER_SILENT);

	f = finished_after_gap(3 * S, 28 * S / 10);
	f.at_gap = quiet_socket();
	f.at_gap.inq = 2900;
	f.others.thread_other_ops = 42;
	/* each of many once: this one's turn has not come yet */
	f.others.polls = 1;
	assert_cause(&f, APP_NOT_RESUMING);
	f.others.polls = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "WRONG_INTEREST");
	assert_true(says(&v, "42 calls on other SSL objects"));
}

static void test_busy_spin(void **state)
{
	struct facts f = finished(600 * MS);

	(void)state;
	f.calls = 40001;
	f.retries = 40000;
	f.want_read = f.longest_run = 39999;
	f.longest_run_error = WANT_READ;
	f.run_ns = 580 * MS;
	assert_cause(&f, BUSY_SPIN);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	/* every 2 ms: that is normal, and uses no CPU */
	f.longest_run = f.want_read = 290;
	assert_not_cause(&f, BUSY_SPIN);
}

static struct facts with_memory(struct facts f, uint8_t bio_class, uint32_t in, uint32_t out)
{
	f.read.bio_class = f.write.bio_class = bio_class;
	f.read.blocking = f.write.blocking = 2;
	f.read.fd = f.write.fd = -1;
	f.pending_in = in;
	f.pending_out = out;
	return f;
}

/* A server that has agreed to STARTTLS, and gets no ClientHello. */
static void test_only_connection_is_quiet(void **state)
{
	struct facts f = with_memory(as_server(waiting_client(5 * S)), TLSTALL_BIO_PAIR, 0, 0);

	(void)state;
	assert_cause(&f, BIO_STARVED);
	f.only = quiet_socket();
	f.only.bytes_acked = 153;
	f.only.bytes_received = 90;
	f.only.last_data_sent_ms = 5000;
	f.only.last_data_recv_ms = 5004;
	assert_cause(&f, PEER_SILENT);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	/* by the kernel's coarse clock, what came last may be a ClientHello */
	f.only.last_data_recv_ms = 5000;
	assert_cause(&f, BIO_STARVED);
	f.only.bytes_received = 12;
	assert_cause(&f, PEER_SILENT);
	/* it came after our answer, and the program does not feed it */
	f.only.last_data_recv_ms = 4900;
	assert_cause(&f, BIO_STARVED);
	/* the thread does not get to it */
	f.only.last_data_recv_ms = 5004;
	f.wait = TLSTALL_WAIT_SLEEP;
	assert_cause(&f, BIO_STARVED);
}

/* A socket to read from, a memory BIO to write into. */
static void test_written_aside(void **state)
{
	struct facts f = blocked_client(5 * S);

	(void)state;
	f.write = (struct tlstall_transport){.fd = -1, .blocking = 2, .bio_class = TLSTALL_BIO_MEMORY};
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.wait_syscall = "read";
	f.at_start = f.live = quiet_socket();
	f.at_start.bytes_acked = f.live.bytes_acked = 1;
	f.state = "SSLv3/TLS write client hello";
	assert_cause(&f, BIO_NOT_PUMPED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	/* another thread has taken it out */
	f.live.bytes_acked = 518;
	assert_cause(&f, PEER_SILENT);

	f = waiting_client(5 * S);
	f.write = (struct tlstall_transport){.fd = -1, .blocking = 2, .bio_class = TLSTALL_BIO_MEMORY};
	f.pending_out = 517;
	f.live = quiet_socket();
	f.live.bytes_acked = 1;
	assert_cause(&f, BIO_NOT_PUMPED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
}

static void test_bio_not_pumped(void **state)
{
	struct facts f = with_memory(waiting_client(5 * S), TLSTALL_BIO_MEMORY, 0, 517);
	struct verdict v;

	(void)state;
	/* after the first call data is always there: asyncio then takes it out */
	assert_cause(&f, PEER_SILENT);
	f.calls = 3;
	f.retries = 2;
	/* a protocol underneath may hold it back */
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "BIO_STARVED");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_BIO_NOT_PUMPED));
	/* a connection exists, and is idle */
	f.only = quiet_socket();
	f.only.bytes_acked = 1;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "BIO_NOT_PUMPED");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	/* other bytes were sent over it, or are waiting to be */
	f.only.bytes_acked = 300;
	assert_not_cause(&f, BIO_NOT_PUMPED);
	f.only.bytes_acked = 1;
	f.only.outq = 54;
	assert_not_cause(&f, BIO_NOT_PUMPED);
	f.only.outq = 0;
	/* some bytes were taken */
	f.bytes_out = 1034;
	assert_not_cause(&f, BIO_NOT_PUMPED);

	f = with_memory(waiting_client(5 * S), TLSTALL_BIO_PAIR, 0, 512);
	f.last_error = WANT_WRITE;
	assert_cause(&f, BIO_NOT_PUMPED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	f.bytes_out = 612;
	f.only = quiet_socket();
	f.only.bytes_acked = 101;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.pending_out = 0;
	assert_not_cause(&f, BIO_NOT_PUMPED);
}

static void test_bio_starved(void **state)
{
	struct facts f = with_memory(waiting_client(5 * S), TLSTALL_BIO_MEMORY, 0, 0);
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_string_equal(cause_name(v.cause), "BIO_STARVED");
	assert_int_equal(v.fault, FAULT_UNKNOWN);
	assert_true(doubts(&v, CAUSE_PEER_SILENT));

	/* nothing came on any connection that can be its own */
	f.wait = TLSTALL_WAIT_POLL;
	f.fitting = f.idle = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(says(&v, "2 connections of the process fit, and none has bytes unread"));
	assert_true(doubts(&v, CAUSE_BIO_STARVED));
	/* asyncio takes the output out after the call */
	f.pending_out = 517;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f.pending_out = 0;
	/* one of them brought more: perhaps to the program, which did not feed it */
	f.idle = 1;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	/* ... and its thread is elsewhere */
	f.wait = TLSTALL_WAIT_FUTEX;
	assert_cause(&f, BIO_STARVED);
	/* wherever it is, nothing came that it could feed; a busy machine lets it wait for a CPU */
	f.idle = 2;
	for (unsigned i = 0; i < 3; i++) {
		f.wait = (enum tlstall_wait[]){TLSTALL_WAIT_FUTEX, TLSTALL_WAIT_SLEEP,
					       TLSTALL_WAIT_RUNNING}[i];
		v = first_verdict(&f);
		assert_string_equal(cause_name(v.cause), "PEER_SILENT");
		assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
		assert_true(says(&v, "would not notice at once"));
		assert_true(doubts(&v, CAUSE_APP_NOT_RESUMING));
	}
	f.idle = 0;
	assert_cause(&f, BIO_STARVED);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_SOCKET;
	assert_not_cause(&f, BIO_STARVED);
}

static void test_bio_starved_of_the_rest(void **state)
{
	struct facts f = with_memory(waiting_client(5 * S), TLSTALL_BIO_MEMORY, 0, 0);
	struct verdict v;

	(void)state;
	/* a part of the answer came */
	f.wait = TLSTALL_WAIT_POLL;
	f.fitting = f.idle = 2;
	f.bytes_in = 100;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RX_PARTIAL");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&v, CAUSE_BIO_STARVED));
	/* all have had bytes unread for long: it does not matter which it is */
	f.idle = 0;
	f.unread = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(says(&v, "and all have bytes unread"));
	assert_not_cause(&f, RX_PARTIAL);
	/* some have bytes unread */
	f.unread = 1;
	assert_cause(&f, BIO_STARVED);
	/* its thread is elsewhere, and one of them brought more */
	f.unread = 0;
	f.idle = 1;
	f.wait = TLSTALL_WAIT_FUTEX;
	assert_cause(&f, BIO_STARVED);
	f.idle = 2;
	assert_cause(&f, RX_PARTIAL);
}

/* From outside: the socket was found, and its thread sleeps elsewhere. */
static void test_socket_of_a_memory_bio(void **state)
{
	struct facts f = with_memory(as_server(waiting_client(5 * S)), TLSTALL_BIO_MEMORY, 0, 0);

	(void)state;
	f.flags |= TLSTALL_HS_LOOKED;
	f.live = accepted_socket(5000);
	f.bytes_in = f.live.bytes_received;
	f.wait = TLSTALL_WAIT_SLEEP;
	assert_not_cause(&f, BIO_STARVED);
	assert_int_equal(first_verdict(&f).fault, FAULT_PEER);
	/* the program has read it, and not fed it yet */
	f.bytes_in = 0;
	assert_cause(&f, BIO_STARVED);
}

/* node: the BIO is its own, and any of its connections may be this handshake's. */
static void test_silence_behind_own_bio(void **state)
{
	struct facts f = with_memory(waiting_client(5 * S), TLSTALL_BIO_CUSTOM, UINT32_MAX, UINT32_MAX);
	struct verdict v;

	(void)state;
	f.wait = TLSTALL_WAIT_POLL;
	f.wait_fd = 13;
	f.fitting = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_APP_NOT_RESUMING));
	assert_false(doubts(&v, CAUSE_CALLBACK_BLOCKED));
	f.idle = 2;
	v = first_verdict(&f);
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_false(doubts(&v, CAUSE_TX_NOT_ACKED));
}

static void test_late_start(void **state)
{
	struct facts f = finished(4 * MS);

	(void)state;
	f.before_start_ns = 3 * S;
	assert_cause(&f, LATE_START);
	f.before_start_ns = 900 * MS;
	assert_cause(&f, NONE);

	/* the server's greeting came late, and the program went on at once */
	f = finished(4 * MS);
	f.connected_ms = 3000;
	f.at_start = quiet_socket();
	f.at_start.bytes_received = 20;
	f.at_start.last_data_recv_ms = 4;
	assert_cause(&f, NONE);
	/* the program came late after that, too */
	f.at_start.last_data_recv_ms = 2000;
	assert_cause(&f, LATE_START);
	assert_true(says(&(struct verdict[1]){first_verdict(&f)}[0], "before the first call"));

	/* the ClientHello had arrived long before */
	f = as_server(finished(4 * MS));
	f.at_start = accepted_socket(2500);
	f.at_start.bytes_received = 0;
	assert_cause(&f, NONE); /* nothing has arrived since it was accepted */
	f.at_start.bytes_received = 517;
	assert_cause(&f, LATE_START);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	/* that was a STARTTLS, which the server has answered */
	f.at_start.unacked = 1;
	f.at_start.last_data_sent_ms = 10;
	assert_cause(&f, NONE);
	/* it came after the answer */
	f.at_start.last_data_sent_ms = 2510;
	assert_cause(&f, LATE_START);

	/* SYNs were lost */
	f = finished(4 * MS);
	f.before_start_ns = 3 * S;
	f.at_start = quiet_socket();
	f.at_start.total_retrans = 1;
	assert_not_cause(&f, LATE_START);
}

static void test_async_pending(void **state)
{
	struct facts f = waiting_client(5 * S);

	(void)state;
	f.last_error = WANT_ASYNC;
	f.want_other = 1;
	assert_cause(&f, ASYNC_PENDING);
	f.last_error = WANT_READ;
	assert_not_cause(&f, ASYNC_PENDING);

	f = finished_after_gap(2 * S, 0);
	f.longest_gap_want = WANT_CLIENT_HELLO_CB;
	f.gap_waiting_ns = 0;
	assert_cause(&f, ASYNC_PENDING);

	/* called again at once each time */
	f = finished(700 * MS);
	f.calls = f.longest_run = 300000;
	f.longest_run_error = WANT_X509_LOOKUP;
	f.run_ns = 690 * MS;
	assert_cause(&f, ASYNC_PENDING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_app_not_resuming),
		cmocka_unit_test(test_wrong_interest),
		cmocka_unit_test(test_busy_spin),
		cmocka_unit_test(test_only_connection_is_quiet),
		cmocka_unit_test(test_written_aside),
		cmocka_unit_test(test_bio_not_pumped),
		cmocka_unit_test(test_bio_starved),
		cmocka_unit_test(test_bio_starved_of_the_rest),
		cmocka_unit_test(test_socket_of_a_memory_bio),
		cmocka_unit_test(test_silence_behind_own_bio),
		cmocka_unit_test(test_late_start),
		cmocka_unit_test(test_async_pending),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
