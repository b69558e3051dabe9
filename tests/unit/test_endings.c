/* SPDX-License-Identifier: Apache-2.0 */
/* Who ended a handshake: the peer, this host, the network, or the program. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_aborted_by_this_host),
		cmocka_unit_test(test_broken_pipe),
		cmocka_unit_test(test_close_notify),
		cmocka_unit_test(test_abandoned_on_an_unknown_socket),
		cmocka_unit_test(test_unreachable_later),
		cmocka_unit_test(test_alert_before_certificates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
