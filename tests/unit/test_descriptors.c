/* SPDX-License-Identifier: Apache-2.0 */
/* Which connection carried the handshake's bytes, and who has them. */
#include "make_facts.h"

static bool advises(const struct verdict *v, const char *words)
{
	return strstr(v->advice, words) != NULL;
}

/* The server spoke before TLS, and something took what its client sent after that. */
static void test_hello_read_before_tls(void **state)
{
	struct facts f = as_server(blocked_client(3 * S));
	struct verdict v;

	(void)state;
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.at_start = f.live = quiet_socket();
	f.at_start.bytes_received = f.live.bytes_received = 535;
	f.live.last_data_sent_ms = 3100;
	f.live.last_data_recv_ms = 3050;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(says(&v, "OpenSSL has not read it"));
	assert_true(advises(&v, "reads from the connection before TLS"));
	/* too little for a ClientHello; or of before the server's answer */
	f.at_start.bytes_received = f.live.bytes_received = 36;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.at_start.bytes_received = f.live.bytes_received = 535;
	f.live.last_data_recv_ms = 3200;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
}

/* Apache blocks in a BIO of its own: what was read in the call is not known. */
static void test_bytes_of_a_call_in_progress(void **state)
{
	struct facts f = as_server(blocked_client(3 * S));
	struct verdict v;

	(void)state;
	f.read.fd = f.write.fd = -1;
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_CUSTOM;
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.live = quiet_socket();
	f.live.bytes_acked = 0;
	f.live.bytes_received = 100;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_RX_PARTIAL);
	assert_true(says(&v, "a part of what the client sends came"));
	assert_true(advises(&v, "client's side"));
	f.live.bytes_received = 0;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_true(says(&v, "no ClientHello came"));
	/* it has answered */
	f.live.bytes_received = 517;
	f.live.bytes_acked = 1172;
	f.state = "TLSv1.3 early data";
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_true(says(&v, "what we sent was acknowledged"));
	assert_false(doubts(&v, CAUSE_RX_PARTIAL));
}

static void test_bad_descriptor(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.last_errno = 9;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_BAD_DESCRIPTOR);
	assert_true(says(&v, "Bad file descriptor"));
	/* other errors are reported by name */
	f.last_errno = 22;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_UNKNOWN);
	assert_true(says(&v, "errno 22 (Invalid argument)"));
}

/* After a reset the kernel forgets the connection, but the descriptor stays. */
static void test_lost_connection(void **state)
{
	struct facts f = waiting_client(3 * S);
	struct verdict v;

	(void)state;
	f.wait = TLSTALL_WAIT_FUTEX;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_PEER_CLOSED));
	assert_true(says(&v, "no connection on its descriptor"));
	/* it was not asked */
	f.wait = TLSTALL_WAIT_NOT_LOOKED;
	v = first_verdict(&f);
	assert_false(doubts(&v, CAUSE_PEER_CLOSED));
}

static void test_closed_descriptor(void **state)
{
	struct facts f = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.descriptor = TLSTALL_DESCRIPTOR_CLOSED;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_BAD_DESCRIPTOR);
	assert_true(says(&v, "descriptor 5, of the connection, is closed by now"));
	assert_true(advises(&v, "shutdown()"));
	assert_true(doubts(&v, CAUSE_PEER_SILENT));
	/* between calls, it may have given up */
	f = waiting_client(3 * S);
	f.descriptor = TLSTALL_DESCRIPTOR_REPLACED;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_BAD_DESCRIPTOR);
	assert_true(says(&v, "is another file or connection by now"));
	assert_true(doubts(&v, CAUSE_ABANDONED));
	/* one that has ended may close it */
	f = finished(3 * S);
	f.descriptor = TLSTALL_DESCRIPTOR_CLOSED;
	assert_not_cause(&f, BAD_DESCRIPTOR);
}

/* The first call reads the answer to what this connection has not carried. */
static void test_written_elsewhere(void **state)
{
	struct facts f = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.at_start = f.live = quiet_socket();
	f.at_start.bytes_acked = f.live.bytes_acked = 1;
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.wait_syscall = "read";
	f.write.fd = 6;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_BAD_DESCRIPTOR);
	assert_true(says(&v, "has carried nothing since"));
	assert_true(says(&v, "reads from descriptor 5 and writes to descriptor 6"));
	f.live.bytes_acked = 518;
	assert_cause(&f, PEER_SILENT);
	/* the connection was there before tlstall */
	f.live.bytes_acked = 1;
	f.flags = TLSTALL_HS_MIDDLE;
	assert_cause(&f, PEER_SILENT);
	f = waiting_client(3 * S);
	f.live = quiet_socket();
	f.live.bytes_acked = 1;
	f.write.fd = 6;
	assert_cause(&f, BAD_DESCRIPTOR);
	/* the program takes it out of a BIO of its own */
	f.write.fd = -1;
	f.write.bio_class = TLSTALL_BIO_OTHER;
	assert_not_cause(&f, BAD_DESCRIPTOR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_read_before_tls),
		cmocka_unit_test(test_bytes_of_a_call_in_progress),
		cmocka_unit_test(test_bad_descriptor),
		cmocka_unit_test(test_lost_connection),
		cmocka_unit_test(test_closed_descriptor),
		cmocka_unit_test(test_written_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
