/* SPDX-License-Identifier: Apache-2.0 */
/* Failures, programs that give up, calls that are delayed, and servers' pitfalls. */
#include "make_facts.h"

/* ---- the two sides do not match --------------------------------------------------- */

static void test_reasons(void **state)
{
	static const struct {
		const char *reason;
		enum cause cause;
	} cases[] = {
		{"certificate verify failed", CAUSE_CERTIFICATE},
		{"peer did not return a certificate", CAUSE_CERTIFICATE},
		{"wrong version number", CAUSE_PLAINTEXT_PEER},
		{"http request", CAUSE_PLAINTEXT_PEER},
		{"unsupported protocol", CAUSE_PROTOCOL_MISMATCH},
		{"no protocols available", CAUSE_PROTOCOL_MISMATCH},
		{"no shared cipher", CAUSE_CIPHER_MISMATCH},
		{"no suitable signature algorithm", CAUSE_CIPHER_MISMATCH},
		{"no application protocol", CAUSE_ALPN_MISMATCH},
		{"connection type not set", CAUSE_WRONG_ROLE},
		{"unexpected message", CAUSE_WRONG_ROLE},
		{"unexpected eof while reading", CAUSE_PEER_CLOSED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct facts f = failed(SSL, cases[i].reason);
		struct verdict v = first_verdict(&f);

		assert_string_equal(cause_name(v.cause), cause_name(cases[i].cause));
		assert_int_equal(v.fault, cases[i].cause == CAUSE_PEER_CLOSED
						  ? FAULT_PEER
					  : strstr(cases[i].reason, "not set")
						  ? FAULT_PROGRAM
						  : FAULT_CONFIGURATION);
		assert_int_equal(v.cost_ns, f.age_ns);
	}
}

static void test_alerts(void **state)
{
	static const struct {
		uint8_t description;
		const char *reason; /* as 3.0 words it; 3.2 and later differ */
		enum cause cause;
	} cases[] = {
		{48, "tlsv1 alert unknown ca", CAUSE_CERTIFICATE},
		{45, "ssl/tls alert certificate expired", CAUSE_CERTIFICATE},
		{116, "tlsv13 alert certificate required", CAUSE_CERTIFICATE},
		{70, "tlsv1 alert protocol version", CAUSE_PROTOCOL_MISMATCH},
		{40, "sslv3 alert handshake failure", CAUSE_CIPHER_MISMATCH},
		{120, "tlsv1 alert no application protocol", CAUSE_ALPN_MISMATCH},
		{112, "tlsv1 unrecognized name", CAUSE_SERVER_NAME},
		{80, "tlsv1 alert internal error", CAUSE_UNKNOWN},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct facts f = failed(SSL, cases[i].reason);
		struct verdict v;

		with_alert(&f, true, cases[i].description);
		v = first_verdict(&f);
		assert_string_equal(cause_name(v.cause), cause_name(cases[i].cause));
		assert_true(says(&v, "the peer sent the fatal alert"));
	}
}

/* Our own reason is more precise than the alert that we send because of it. */
static void test_reason_before_our_alert(void **state)
{
	struct facts f = failed(SSL, "certificate verify failed");
	struct verdict v;

	(void)state;
	with_alert(&f, false, 40);
	f.verify_result = 10;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CERTIFICATE");
	assert_true(says(&v, "we sent the fatal alert 40"));
	assert_true(says(&v, "verify result 10"));
	/* without a reason, the alert is used */
	f.reason = NULL;
	assert_cause(&f, CIPHER_MISMATCH);
}

static void test_refused_in_the_first_read(void **state)
{
	struct facts f = finished(3 * MS);

	(void)state;
	with_alert(&f, true, 116);
	assert_cause(&f, NONE);
	f.flags = TLSTALL_HS_FIRST_READ;
	f.first_read_error = SSL;
	f.reason = "tlsv13 alert certificate required";
	assert_cause(&f, CERTIFICATE);
}

static void test_wrong_role(void **state)
{
	struct facts f = failed(SSL, "unexpected message");

	(void)state;
	/* too few bytes for the ClientHello of another client */
	f.bytes_in = 9;
	assert_cause(&f, UNKNOWN);
	f.bytes_in = 500;
	/* later in a handshake, the same reason means something else */
	f.failed_state = "SSLv3/TLS read server done";
	assert_cause(&f, UNKNOWN);

	/* two servers waiting for each other */
	f = as_server(waiting_client(5 * S));
	f.local.port = 40000;
	f.peer.port = 8443;
	assert_cause(&f, WRONG_ROLE);
	assert_true(has_verdict(&f, CAUSE_PEER_SILENT));
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	f.local.port = 8443;
	f.peer.port = 40000;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, WRONG_ROLE);
}

static void test_peer_closed(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.last_errno = 104;
	f.bytes_in = 0;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_CLOSED");
	assert_int_equal(v.fault, FAULT_PEER);
	f.last_errno = 0;
	assert_cause(&f, PEER_CLOSED);
	f.last_error = ZERO_RETURN;
	assert_cause(&f, PEER_CLOSED);
	f = as_server(f);
	v = first_verdict(&f);
	assert_true(says(&v, "a port probe"));

	/* the program saw it in poll(), then freed the object */
	f = freed(waiting_client(30 * MS), 1 * MS);
	f.at_end = quiet_socket();
	f.at_end.tcp_state = 8;
	assert_cause(&f, PEER_CLOSED);
	f.at_end.tcp_state = 1;
	assert_cause(&f, WANT_TREATED_AS_FATAL);
}

/* ---- SSL_get_error misread ------------------------------------------------------------ */

static void test_want_treated_as_fatal(void **state)
{
	struct facts f = freed(waiting_client(2 * MS), 2 * MS);
	struct verdict v;

	(void)state;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "WANT_TREATED_AS_FATAL");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "ended with WANT_READ; the SSL object was freed 2 ms later"));
	/* the process ended, and nobody knows why */
	f.flags &= ~TLSTALL_HS_FREED;
	assert_cause(&f, ABANDONED);
	/* it waited, then gave up: the peer's fault */
	f = freed(waiting_client(3 * S), 3 * S);
	assert_cause(&f, PEER_SILENT);
	/* or it polled in short steps until its deadline */
	f = freed(waiting_client(2 * MS), 2 * MS);
	f.age_ns = f.since_progress_ns = 3 * S;
	f.calls = 300;
	f.retries = 299;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, WANT_TREATED_AS_FATAL);
	/* a stopped server had no choice; a client may well exit because of it */
	f = freed(waiting_client(2 * MS), 2 * MS);
	f.exit_after_ns = 5 * MS;
	assert_cause(&f, WANT_TREATED_AS_FATAL);
	f.role = TLSTALL_ROLE_SERVER;
	assert_not_cause(&f, WANT_TREATED_AS_FATAL);
}

/* A race of two connections, of which the other has won; a deadline that is short. */
static void test_given_up_on_purpose(void **state)
{
	struct facts f = freed(waiting_client(30 * MS), 30 * MS);

	(void)state;
	f.at_end = quiet_socket();
	assert_cause(&f, WANT_TREATED_AS_FATAL);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	f.others.thread_other_ops = 1;
	assert_cause(&f, ABANDONED);
	f = freed(waiting_client(50 * MS), 1 * MS);
	f.at_end = quiet_socket();
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.calls = 3;
	f.retries = 2;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
}

static void test_stale_error_queue(void **state)
{
	struct facts f = freed(waiting_client(2 * MS), 2 * MS);

	(void)state;
	f.misuse = TLSTALL_MISUSE_QUEUE;
	f.flags |= TLSTALL_HS_STALE_QUEUE;
	f.stale_error = 0x0a000086;
	assert_cause(&f, STALE_ERROR_QUEUE);
	assert_not_cause(&f, WANT_TREATED_AS_FATAL);
	/* it read the error of another object */
	f.misuse |= TLSTALL_MISUSE_OTHER;
	assert_cause(&f, GET_ERROR_MISUSE);
	assert_not_cause(&f, STALE_ERROR_QUEUE);
	/* a queue that is not empty at entry is harmless by itself: the call clears it */
	f.misuse = 0;
	assert_not_cause(&f, STALE_ERROR_QUEUE);
}

static void test_get_error_misuse(void **state)
{
	struct facts f = freed(waiting_client(2 * MS), 2 * MS);
	struct verdict v;

	(void)state;
	f.misuse = TLSTALL_MISUSE_RET;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "GET_ERROR_MISUSE");
	assert_true(says(&v, "not the call's return value (-1)"));
	f.misuse = TLSTALL_MISUSE_THREAD;
	assert_cause(&f, GET_ERROR_MISUSE);
	/* never called */
	f.misuse = 0;
	f.get_errors = 0;
	assert_cause(&f, GET_ERROR_MISUSE);
	/* or not recorded */
	f.get_errors_left_out = true;
	assert_cause(&f, WANT_TREATED_AS_FATAL);
	f.get_errors_left_out = false;
	/* called wrongly, but without harm */
	f = finished(4 * MS);
	f.misuse = TLSTALL_MISUSE_RET;
	assert_cause(&f, NONE);
}

static void test_want_flag_mismatch(void **state)
{
	struct facts f = failed(SYSCALL, NULL);

	(void)state;
	f.flags = TLSTALL_HS_WANT_MISMATCH | TLSTALL_HS_OVERLAP;
	assert_cause(&f, WANT_FLAG_MISMATCH);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.flags = TLSTALL_HS_WANT_MISMATCH;
	assert_cause(&f, WANT_FLAG_MISMATCH);
	f.last_errno = 11;
	assert_cause(&f, WANT_FLAG_MISMATCH);
	f.last_errno = 104;
	assert_cause(&f, PEER_CLOSED);
	f.last_errno = 0;
	/* 1.1.1 reports a plain end of stream like this; so does a BIO of curl's */
	f.libssl_version = 0x1010117f;
	assert_cause(&f, PEER_CLOSED);
	f.libssl_version = 0x300000d0;
	f.read.type = 0x580; /* "PostgreSQL backend socket" */
	assert_cause(&f, PEER_CLOSED);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_CUSTOM;
	assert_cause(&f, PEER_CLOSED);
}

static void test_blocking_want(void **state)
{
	struct facts f = freed(waiting_client(2 * MS), 2 * MS);
	struct verdict v;

	(void)state;
	f.read.blocking = f.write.blocking = 1;
	f.last_errno = 11;
	f.longest_call_ns = f.in_call_ns = 2 * S;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "BLOCKING_WANT");
	assert_true(says(&v, "after 2 s: the socket's own timeout ran out"));
	f.last_errno = 4;
	v = first_verdict(&f);
	assert_true(says(&v, "EINTR"));
	/* that was another call */
	f.calls = 2;
	v = first_verdict(&f);
	assert_true(says(&v, "on a blocking descriptor: a signal"));
	assert_true(says(&v, "the longest of 2 calls took 2 s"));
	f.read.blocking = f.write.blocking = 0;
	assert_not_cause(&f, BLOCKING_WANT);
	/* it did go on: its third call waits */
	f = waiting_client(4 * S);
	f.read.blocking = f.write.blocking = 1;
	f.longest_call_ns = 1500 * MS;
	assert_cause(&f, BLOCKING_WANT);
	f.entered = true;
	f.in_op_ns = 1 * S;
	f.idle_ns = 0;
	assert_not_cause(&f, BLOCKING_WANT);
}

/* ---- inside a call ----------------------------------------------------------------------- */

static void test_callback_blocked(void **state)
{
	struct facts f = blocked_client(5 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	f.wait = TLSTALL_WAIT_OTHER_FD;
	f.wait_syscall = "recvfrom";
	f.wait_fd = 9;
	f.stack_symbols = "recv < ocsp_check < verify_callback < SSL_connect";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "in recvfrom on descriptor 9"));
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.wait_fd = 5;
	assert_cause(&f, PEER_SILENT);

	/* a non-blocking socket does not delay a call */
	f = finished(3 * S);
	f.in_call_ns = f.longest_call_ns = 29 * S / 10;
	assert_cause(&f, CALLBACK_BLOCKED);
	f.cpu_ns = f.in_call_ns;
	assert_not_cause(&f, CALLBACK_BLOCKED);
}

/* On a blocking socket: between two messages of one flight, after all had arrived. */
static void test_callback_blocked_in_a_blocking_call(void **state)
{
	struct facts f = finished(3 * S);

	(void)state;
	f.read.blocking = f.write.blocking = 1;
	f.in_call_ns = f.longest_call_ns = 29 * S / 10;
	f.state_wait_ns = 28 * S / 10;
	f.state_wait = "TLSv1.3 read encrypted extensions";
	f.at_end = quiet_socket();
	f.at_end.last_data_recv_ms = 2810;
	assert_cause(&f, CALLBACK_BLOCKED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f.at_end.last_data_recv_ms = 1;
	assert_cause(&f, CALLBACK_BLOCKED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_LOW);
	/* a new flight was due: the peer's fault */
	f.state_wait = "SSLv3/TLS write client hello";
	f.state_wait_flight = true;
	assert_cause(&f, PEER_SILENT);
}

static void test_lock_or_entropy(void **state)
{
	struct facts f = blocked_client(5 * S);

	(void)state;
	f.wait = TLSTALL_WAIT_FUTEX;
	assert_cause(&f, LOCK_OR_ENTROPY);
	assert_int_equal(first_verdict(&f).fault, FAULT_HOST);
	f.wait = TLSTALL_WAIT_RANDOM;
	assert_cause(&f, LOCK_OR_ENTROPY);
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	assert_not_cause(&f, LOCK_OR_ENTROPY);
}

static void test_cpu_heavy(void **state)
{
	struct facts f = finished(900 * MS);

	(void)state;
	f.in_call_ns = f.longest_call_ns = 880 * MS;
	f.cpu_ns = 860 * MS;
	assert_cause(&f, CPU_HEAVY);
	assert_int_equal(first_verdict(&f).fault, FAULT_HOST);
	f.cpu_ns = 20 * MS;
	assert_not_cause(&f, CPU_HEAVY);
	/* it computes, and other threads compete for the CPU: no callback is to blame */
	f = finished(3 * S);
	f.in_call_ns = f.longest_call_ns = 29 * S / 10;
	f.cpu_ns = 500 * MS;
	assert_cause(&f, CPU_HEAVY);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	assert_not_cause(&f, CALLBACK_BLOCKED);
	f.cpu_ns = 200 * MS;
	assert_cause(&f, CALLBACK_BLOCKED);
	/* a spin is not a computation */
	f = waiting_client(1 * MS);
	f.age_ns = f.since_progress_ns = f.run_ns = 3 * S;
	f.in_call_ns = f.cpu_ns = 2 * S;
	f.calls = f.longest_run = 880000;
	assert_not_cause(&f, CPU_HEAVY);

	f = blocked_client(5 * S);
	f.wait = TLSTALL_WAIT_RUNNING;
	assert_cause(&f, CPU_HEAVY);
}

/* ---- servers ----------------------------------------------------------------------------------
 */

static void test_accept_loop_blocked(void **state)
{
	struct facts f = as_server(blocked_client(5 * S));
	struct verdict v;

	(void)state;
	assert_cause(&f, PEER_SILENT);
	f.thread_handshakes = 12;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "ACCEPT_LOOP_BLOCKED");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "12 handshakes before"));
	assert_true(has_verdict(&f, CAUSE_PEER_SILENT));
	assert_true(says(&v, "a client that has sent nothing"));
	/* a part of its ClientHello had come before the call */
	f.at_start = accepted_socket(10);
	f.live = accepted_socket(5010);
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "ACCEPT_LOOP_BLOCKED");
	assert_true(says(&v, "has sent no more than 517 B"));
	/* other threads go on */
	f.others.pool = true;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, ACCEPT_LOOP_BLOCKED);
	f.others.pool = false;
	f.live.ticks = 0;
	f.read.blocking = f.write.blocking = 0;
	f.entered = false;
	f.in_op_ns = 0;
	f.calls = 1;
	f.last_error = WANT_READ;
	f.idle_ns = 5 * S;
	assert_not_cause(&f, ACCEPT_LOOP_BLOCKED);
}

static void test_ticket_deadlock(void **state)
{
	struct facts f = as_server(blocked_client(5 * S));

	(void)state;
	f.state = "SSLv3/TLS write session ticket";
	f.bytes_in = 700;
	f.live = quiet_socket();
	f.live.outq = 2500000;
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	assert_cause(&f, TICKET_DEADLOCK);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.live.outq = 0;
	assert_not_cause(&f, TICKET_DEADLOCK);
}

static void test_post_handshake_read_block(void **state)
{
	struct facts f = finished(4 * MS);

	(void)state;
	f.read.blocking = f.write.blocking = 1;
	f.version = 0x0304;
	f.at_end = f.live = quiet_socket();
	f.at_start = quiet_socket();
	/* the tickets had arrived when the handshake ended, but OpenSSL had not read them */
	f.at_end.bytes_received = f.live.bytes_received =
		f.at_start.bytes_received + f.bytes_in + 510;
	f.in_op_ns = f.live.last_data_recv_ms * MS;
	assert_cause(&f, POST_HANDSHAKE_READ_BLOCK);
	/* it read before the tickets came: it waits for its server's greeting */
	f.in_op_ns += 20 * MS;
	assert_cause(&f, NONE);
	f.in_op_ns -= 20 * MS;
	/* it has asked something meanwhile, and waits for the answer */
	f.live.bytes_acked = f.at_start.bytes_acked + f.bytes_out + 90;
	assert_cause(&f, NONE);
	f.live.bytes_acked = f.at_start.bytes_acked + f.bytes_out;
	assert_cause(&f, POST_HANDSHAKE_READ_BLOCK);
	/* nothing has arrived since: it waits for an answer */
	f.live.bytes_received -= 510;
	assert_cause(&f, NONE);
}

static void test_renegotiation_stall(void **state)
{
	struct facts f = waiting_client(5 * S);

	(void)state;
	f.finished_before = true;
	f.flags = TLSTALL_HS_RENEGOTIATION;
	assert_cause(&f, RENEGOTIATION_STALL);
	f = finished(5 * MS);
	f.finished_before = true;
	f.flags = TLSTALL_HS_RENEGOTIATION;
	assert_cause(&f, NONE);
}

static void test_renegotiation_refused(void **state)
{
	struct facts f = failed(SSL, "no renegotiation");
	struct verdict v;

	(void)state;
	f.finished_before = true;
	f.flags = TLSTALL_HS_RENEGOTIATION;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RENEGOTIATION_STALL");
	assert_int_equal(v.fault, FAULT_CONFIGURATION);
	assert_false(says(&v, "unfinished"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_alerts),
		cmocka_unit_test(test_reason_before_our_alert),
		cmocka_unit_test(test_refused_in_the_first_read),
		cmocka_unit_test(test_wrong_role),
		cmocka_unit_test(test_peer_closed),
		cmocka_unit_test(test_want_treated_as_fatal),
		cmocka_unit_test(test_given_up_on_purpose),
		cmocka_unit_test(test_stale_error_queue),
		cmocka_unit_test(test_get_error_misuse),
		cmocka_unit_test(test_want_flag_mismatch),
		cmocka_unit_test(test_blocking_want),
		cmocka_unit_test(test_callback_blocked),
		cmocka_unit_test(test_callback_blocked_in_a_blocking_call),
		cmocka_unit_test(test_lock_or_entropy),
		cmocka_unit_test(test_cpu_heavy),
		cmocka_unit_test(test_accept_loop_blocked),
		cmocka_unit_test(test_ticket_deadlock),
		cmocka_unit_test(test_post_handshake_read_block),
		cmocka_unit_test(test_renegotiation_stall),
		cmocka_unit_test(test_renegotiation_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
