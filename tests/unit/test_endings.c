/* SPDX-License-Identifier: Apache-2.0 */
/* Who ended a handshake, or made it slow: the peer, this host, the network, or the program. */
#include <errno.h>

#include "make_facts.h"

static void test_aborted_by_this_host(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.last_errno = ECONNABORTED;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "UNKNOWN");
	assert_int_equal(v.fault, FAULT_HOST);
	assert_true(says(&v, "this host ended the connection"));
	f.last_errno = ECONNRESET;
	assert_cause(&f, PEER_CLOSED);
}

/* A write fails so after the peer's reset, and after a shutdown() of our own. */
static void test_broken_pipe(void **state)
{
	struct facts f = failed(SYSCALL, NULL);

	(void)state;
	f.last_errno = EPIPE;
	assert_cause(&f, PEER_CLOSED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	/* our end of the stream was sent before the peer's */
	f.at_gap = quiet_socket();
	f.at_gap.tcp_state = 5;
	assert_cause(&f, ABANDONED);
}

/* The peer closed when it got our end of the stream, which has a sequence number of its own. */
static void test_peer_closed_after_us(void **state)
{
	struct facts f = failed(SSL, "unexpected eof while reading");
	struct verdict v;

	(void)state;
	f.at_start = f.at_end = quiet_socket();
	f.at_start.bytes_acked = 1;
	f.at_end.tcp_state = 7;
	f.at_end.bytes_acked = 1 + f.bytes_out;
	assert_cause(&f, PEER_CLOSED);
	f.at_end.bytes_acked++;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "ABANDONED");
	assert_true(says(&v, "shut down on this side"));
	assert_true(says(&v, "the peer has closed it, too"));
	assert_true(doubts(&v, CAUSE_PEER_CLOSED));
	/* that was the SYN */
	f.at_start.tcp_state = 2;
	assert_cause(&f, PEER_CLOSED);
}

/* After shutdown(SHUT_RD) read() returns 0, and the connection stands. */
static void test_reads_no_more(void **state)
{
	struct facts f = failed(SSL, "unexpected eof while reading");

	(void)state;
	f.at_start = f.at_end = quiet_socket();
	assert_cause(&f, ABANDONED);
	assert_int_equal(first_verdict(&f).fault, FAULT_PROGRAM);
	/* the peer has closed it */
	f.at_end.tcp_state = 8;
	assert_cause(&f, PEER_CLOSED);
	/* a BIO of the program's own may end the stream by itself */
	f.at_end.tcp_state = 1;
	f.read.type = 0x501;
	assert_cause(&f, PEER_CLOSED);
}

/* With SSL_OP_IGNORE_UNEXPECTED_EOF, any end of the stream is a ZERO_RETURN. */
static void test_close_notify(void **state)
{
	struct facts f = failed(ZERO_RETURN, NULL);
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_true(says(&v, "without a close_notify"));
	with_alert(&f, true, 0);
	v = first_verdict(&f);
	assert_true(says(&v, "with a close_notify"));
}

/* Behind a BIO of its own, nobody knows whether the peer had left. */
static void test_abandoned_on_an_unknown_socket(void **state)
{
	struct facts f = freed(waiting_client(200 * MS), 200 * MS);

	(void)state;
	assert_cause(&f, ABANDONED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_CUSTOM;
	assert_cause(&f, ABANDONED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
}

/* Bytes were written, so connect() had finished. */
static void test_unreachable_later(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.bytes_in = 0;
	f.last_errno = EHOSTUNREACH;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "TX_NOT_ACKED");
	assert_true(says(&v, "gave up the connection"));
	f.bytes_out = 0;
	assert_cause(&f, TCP_NOT_CONNECTED);
	/* over UDP there are neither connections nor acknowledgments */
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_DATAGRAM;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "DTLS_LOST");
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_not_cause(&f, TCP_NOT_CONNECTED);
	f.bytes_out = 517;
	assert_cause(&f, DTLS_LOST);
	assert_not_cause(&f, TX_NOT_ACKED);
	f.last_errno = ECONNREFUSED;
	assert_cause(&f, DTLS_REFUSED);
	assert_not_cause(&f, TCP_NOT_CONNECTED);
}

/* A server that answers the ClientHello by an alert has not asked for a certificate. */
static void test_alert_before_certificates(void **state)
{
	struct facts f = failed(SSL, "tlsv1 alert access denied");

	(void)state;
	with_alert(&f, true, 49);
	f.bytes_in = 7;
	assert_cause(&f, UNKNOWN);
	f.bytes_in = 3000;
	assert_cause(&f, CERTIFICATE);
}

/* ---- who was slow ------------------------------------------------------------------------- */

/* All of the answer had come at once, 2 s before the end: the peer was not slow. */
static void test_answer_had_come(void **state)
{
	struct facts f = finished(2 * S);

	(void)state;
	f.calls = 1;
	f.retries = 0;
	f.read.blocking = f.write.blocking = 1;
	f.in_call_ns = f.longest_call_ns = 2 * S;
	f.state_wait = "SSLv3/TLS write client hello";
	f.state_wait_ns = 1500 * MS;
	f.state_wait_flight = true;
	f.at_end = quiet_socket();
	f.at_end.last_data_recv_ms = 100;
	assert_cause(&f, PEER_SILENT);
	f.at_end.last_data_recv_ms = 1990;
	assert_not_cause(&f, PEER_SILENT);
}

/* A thread that could run, and got no CPU. */
static void test_no_cpu(void **state)
{
	struct facts f = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	f.wait = TLSTALL_WAIT_RUNNING;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CPU_HEAVY");
	assert_false(says(&v, "could run"));
	f.burnt_over_ns = 1 * S;
	f.burnt_ran_ns = 1 * MS;
	v = first_verdict(&f);
	assert_true(says(&v, "was on a CPU for only 1 ms of 1 s"));
	f.burnt_ran_ns = 900 * MS;
	v = first_verdict(&f);
	assert_false(says(&v, "could run"));
}

/* An earlier call has computed, and another one does so now. */
static void test_computes_again(void **state)
{
	struct facts f = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.read.blocking = f.write.blocking = 0;
	f.calls = 1;
	f.age_ns = 4 * S;
	f.cpu_ns = f.in_call_ns = f.longest_call_ns = 1 * S;
	f.wait = TLSTALL_WAIT_RUNNING;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CPU_HEAVY");
	assert_int_equal(v.cost_ns, 3 * S);
	assert_false(says(&v, "compete for the CPU"));
	assert_int_equal(v.not_told_from_count, 1);
}

/* The handshake began before connect() had finished. */
static void test_begun_too_early(void **state)
{
	struct facts f = freed(waiting_client(100 * MS), 100 * MS);
	struct verdict v;

	(void)state;
	f.last_error = WANT_WRITE;
	f.bytes_out = f.first_flight = 0;
	f.at_start = quiet_socket();
	f.at_start.tcp_state = 2;
	f.at_start.bytes_acked = 0;
	/* the program asked the socket, and freed the object */
	f.at_end = f.at_start;
	f.at_end.tcp_state = 7;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "TCP_NOT_CONNECTED");
	assert_true(says(&v, "it has failed since"));
	assert_not_cause(&f, PEER_CLOSED);
	/* it was established, and ended then */
	f.at_end.bytes_acked = 518;
	assert_cause(&f, PEER_CLOSED);
	assert_not_cause(&f, TCP_NOT_CONNECTED);

	/* the peer had the ClientHello, and was silent */
	f = freed(waiting_client(3 * S), 3 * S);
	f.at_start.ticks = 1;
	f.at_start.tcp_state = 2;
	f.at_end = quiet_socket();
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, TCP_NOT_CONNECTED);
	/* bytes are taken only once connect() has finished */
	f.at_end.ticks = 0;
	assert_not_cause(&f, TCP_NOT_CONNECTED);
	f.bytes_out = 0;
	assert_cause(&f, TCP_NOT_CONNECTED);
	assert_not_cause(&f, PEER_SILENT);
}

/* Neither a device that drops large ClientHellos nor an unexpected PROXY header ends it in this way. */
static void test_not_cut_off_by_the_peer(void **state)
{
	struct facts f = failed(SYSCALL, NULL);

	(void)state;
	f.bytes_in = 0;
	f.bytes_out = f.first_flight = 1600;
	f.at_start = f.at_end = quiet_socket();
	f.at_start.bytes_acked = 51; /* sent before TLS */
	f.at_end.bytes_acked = 51;
	f.at_end.outq = 1600;
	f.at_end.tcp_state = 7;
	f.last_errno = ETIMEDOUT;
	assert_cause(&f, TX_NOT_ACKED);
	assert_not_cause(&f, CLIENT_HELLO_DROPPED);
	assert_not_cause(&f, PROXY_HEADER);
	f.last_errno = EBADF;
	assert_cause(&f, BAD_DESCRIPTOR);
	assert_not_cause(&f, CLIENT_HELLO_DROPPED);
	assert_not_cause(&f, PROXY_HEADER);
	/* this side shut it down */
	f = failed(SSL, "unexpected eof while reading");
	f.bytes_in = 0;
	f.bytes_out = f.first_flight = 1600;
	f.at_start = f.at_end = quiet_socket();
	f.at_end.tcp_state = 5;
	assert_cause(&f, ABANDONED);
}

/* A reset may come before anything was acknowledged. */
static void test_reset_at_a_large_client_hello(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.last_errno = ECONNRESET;
	f.bytes_in = 0;
	f.bytes_out = f.first_flight = 1600;
	f.at_start = f.at_end = quiet_socket();
	f.at_start.bytes_acked = f.at_end.bytes_acked = 1;
	f.at_end.tcp_state = 7;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CLIENT_HELLO_DROPPED");
	assert_false(says(&v, "acknowledged"));
	f.at_end.bytes_acked = 1601;
	v = first_verdict(&f);
	assert_true(says(&v, "and was acknowledged"));
}

/* It was told to call again, or something else, and did so: there was nothing to call for. */
static void test_misuse_that_did_no_harm(void **state)
{
	struct facts f = freed(waiting_client(10 * S), 10 * S);

	(void)state;
	f.calls = f.want_read = 2;
	f.retries = 1;
	f.misuse = TLSTALL_MISUSE_RET;
	assert_cause(&f, GET_ERROR_MISUSE); /* nobody knows what came */
	f.at_end = quiet_socket();
	f.retries = 0;
	assert_cause(&f, GET_ERROR_MISUSE); /* it may have taken the handshake for finished */
	f.retries = 1;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, GET_ERROR_MISUSE);
	f.misuse = TLSTALL_MISUSE_QUEUE;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, STALE_ERROR_QUEUE);
	/* the answer was there, or would have come in time */
	f.at_end.inq = 2900;
	assert_cause(&f, STALE_ERROR_QUEUE);
	f = freed(waiting_client(2 * MS), 2 * MS);
	f.misuse = TLSTALL_MISUSE_QUEUE;
	f.at_end = quiet_socket();
	assert_cause(&f, STALE_ERROR_QUEUE);
}

/* ---- suspected while it hung ------------------------------------------------------------------ */

/* A client on a connection of small segments that has waited for its answer. */
static struct facts waiting_after(uint32_t hello)
{
	struct facts f = waiting_client(1 * S);

	f.first_flight = hello;
	f.bytes_out = hello;
	f.live = quiet_socket();
	f.live.bytes_acked = hello + 1;
	f.wait = TLSTALL_WAIT_POLL;
	return f;
}

/* The same handshake when it has ended well after 3 s. */
static struct facts answered_after(const struct facts *then)
{
	struct facts f = finished_after_gap(3 * S, 0);

	f.at_gap = quiet_socket();
	f.misuse = then->misuse;
	f.flags = then->flags;
	f.finished_before = then->finished_before;
	f.local = then->local;
	f.peer = then->peer;
	f.others = then->others;
	return f;
}

static void assert_disproved(struct facts then, enum cause cause)
{
	struct facts f = answered_after(&then);

	assert_string_equal(cause_name(first_verdict(&then).cause), cause_name(cause));
	facts_settle(&then);
	f.then = &then;
	assert_false(has_verdict(&f, cause));
	assert_cause(&f, PEER_SILENT);
}

static void test_look_that_the_end_disproves(void **state)
{
	struct facts then;

	(void)state;
	assert_disproved(waiting_after(1600), CAUSE_CLIENT_HELLO_DROPPED);
	then = waiting_after(517);
	then.local.port = 1000;
	then.peer.port = 40000;
	assert_disproved(then, CAUSE_WRONG_ROLE);
	then = waiting_client(1 * S);
	then.misuse = TLSTALL_MISUSE_RET;
	assert_disproved(then, CAUSE_GET_ERROR_MISUSE);
	then.misuse = TLSTALL_MISUSE_QUEUE;
	assert_disproved(then, CAUSE_STALE_ERROR_QUEUE);
	then = waiting_after(517);
	then.read.blocking = 1;
	assert_disproved(then, CAUSE_BLOCKING_WANT);
	then = waiting_after(517);
	then.flags = TLSTALL_HS_RENEGOTIATION;
	assert_disproved(then, CAUSE_RENEGOTIATION_STALL);
	then = waiting_after(517);
	then.others.same_socket = true;
	assert_disproved(then, CAUSE_TWO_ON_ONE_SOCKET);
}

/* No answer came: what the look suspected may well be so. */
static void test_look_that_the_end_confirms(void **state)
{
	struct facts then = waiting_after(1600), f = freed(waiting_client(3 * S), 3 * S);

	(void)state;
	facts_settle(&then);
	f.then = &then;
	assert_true(has_verdict(&f, CAUSE_CLIENT_HELLO_DROPPED));
}

/* Mode `watch` takes a call that it did not measure for CPU time and waiting in equal parts. */
static void test_cpu_time_that_was_not_measured(void **state)
{
	struct facts f = as_server(finished(2020 * MS));
	struct verdict v;

	(void)state;
	f.flags = TLSTALL_HS_WATCHED | TLSTALL_HS_CPU_UNKNOWN;
	f.in_call_ns = f.longest_call_ns = 2 * S;
	f.cpu_ns = 1 * S;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(says(&v, "was not measured"));
	assert_true(doubts(&v, CAUSE_CPU_HEAVY));
	assert_true(has_verdict(&f, CAUSE_CPU_HEAVY));
	/* nothing else is done after that state */
	f.state_wait = "SSLv3/TLS write certificate";
	f.state_wait_ns = 2 * S;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CPU_HEAVY");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_KEY_OPERATION_SLOW));
	/* some other call was not measured, a short one */
	f.cpu_ns = 1990 * MS;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.state_wait = "SSLv3/TLS read client hello";
	f.cpu_ns = 10 * MS;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aborted_by_this_host),
		cmocka_unit_test(test_broken_pipe),
		cmocka_unit_test(test_peer_closed_after_us),
		cmocka_unit_test(test_reads_no_more),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_abandoned_on_an_unknown_socket),
		cmocka_unit_test(test_unreachable_later),
		cmocka_unit_test(test_answer_had_come),
		cmocka_unit_test(test_no_cpu),
		cmocka_unit_test(test_alert_before_certificates),
		cmocka_unit_test(test_computes_again),
		cmocka_unit_test(test_begun_too_early),
		cmocka_unit_test(test_not_cut_off_by_the_peer),
		cmocka_unit_test(test_reset_at_a_large_client_hello),
		cmocka_unit_test(test_misuse_that_did_no_harm),
		cmocka_unit_test(test_cpu_time_that_was_not_measured),
		cmocka_unit_test(test_look_that_the_end_disproves),
		cmocka_unit_test(test_look_that_the_end_confirms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
