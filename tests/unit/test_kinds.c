/* SPDX-License-Identifier: Apache-2.0 */
/* Names, clocks, bytes before TLS, datagrams: each cause, and a near miss. */
#include <netinet/tcp.h>

#include "make_facts.h"

static bool advises(const struct verdict *v, const char *words)
{
	return strstr(v->advice, words) != NULL;
}

/* ---- the server's name ------------------------------------------------------------- */

static void test_server_name(void **state)
{
	struct facts f = failed(SSL, "tlsv1 unrecognized name");
	struct verdict v;

	(void)state;
	with_alert(&f, true, 112);
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_SERVER_NAME);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "named no server"));
	assert_true(advises(&v, "SSL_set_tlsext_host_name"));
	strcpy(f.sni, "wrong.example");
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_SERVER_NAME);
	assert_true(says(&v, "\"wrong.example\""));
	assert_false(advises(&v, "SSL_set_tlsext_host_name"));

	/* the server's side: nginx reports only that a callback failed */
	f = as_server(failed(SSL, "callback failed"));
	with_alert(&f, false, 112);
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_SERVER_NAME);
	assert_true(advises(&v, "Have the client send the server name"));
	assert_false(advises(&v, "SSL_set_tlsext_host_name"));
}

/* TLSTALL_PRIVACY: an empty name is one that may not be told. */
static void test_server_name_left_out(void **state)
{
	struct facts f = failed(SSL, "sslv3 alert handshake failure");
	struct verdict v;

	(void)state;
	with_alert(&f, true, 40);
	f.sni_hidden = true;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_CIPHER_MISMATCH);
	assert_true(doubts(&v, CAUSE_SERVER_NAME));
	assert_not_cause(&f, SERVER_NAME);
	f.alerts[0].description = 112;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_SERVER_NAME);
	assert_true(says(&v, "leaves out server names"));
	assert_false(says(&v, "no SNI"));
	f = failed(SSL, "certificate verify failed");
	f.sni_hidden = true;
	f.verify_result = 62;
	assert_cause(&f, CERTIFICATE);
	assert_not_cause(&f, SERVER_NAME);
	f.verify_result = 18;
	v = first_verdict(&f);
	assert_false(doubts(&v, CAUSE_SERVER_NAME));
}

static void test_server_name_is_a_guess(void **state)
{
	struct facts f = failed(SSL, "sslv3 alert handshake failure");
	struct verdict v;

	(void)state;
	/* alert 40 can mean many things */
	with_alert(&f, true, 40);
	assert_cause(&f, CIPHER_MISMATCH);
	assert_true(has_verdict(&f, CAUSE_SERVER_NAME));
	strcpy(f.sni, "app.example");
	v = first_verdict(&f);
	assert_true(doubts(&v, CAUSE_SERVER_NAME));
	assert_not_cause(&f, SERVER_NAME);

	/*
	 * a certificate for another host, possibly the server's
	 * default one if no name was requested
	 */
	f = failed(SSL, "certificate verify failed");
	f.verify_result = 62;
	assert_cause(&f, SERVER_NAME);
	assert_true(has_verdict(&f, CAUSE_CERTIFICATE));
	strcpy(f.sni, "app.example");
	assert_not_cause(&f, SERVER_NAME);
	assert_cause(&f, CERTIFICATE);
	/* so may a self-signed one */
	f.sni[0] = 0;
	f.verify_result = 18;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_CERTIFICATE);
	assert_true(doubts(&v, CAUSE_SERVER_NAME));
	f.verify_result = 10;
	v = first_verdict(&f);
	assert_false(doubts(&v, CAUSE_SERVER_NAME));
}

/* ---- one row, one cause ------------------------------------------------------------- */

static void test_legacy_renegotiation(void **state)
{
	struct facts f = failed(SSL, "unsafe legacy renegotiation disabled");
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_LEGACY_RENEGOTIATION);
	assert_true(advises(&v, "SSL_OP_LEGACY_SERVER_CONNECT"));
	assert_not_cause(&f, PROTOCOL_MISMATCH);
	f.reason = "renegotiation mismatch";
	assert_cause(&f, UNKNOWN);
}

static void test_psk(void **state)
{
	struct facts f = failed(SSL, "psk identity not found");

	(void)state;
	assert_cause(&f, PSK_MISMATCH);
	f = failed(SSL, "tlsv1 alert unknown psk identity");
	assert_cause(&f, PSK_MISMATCH);
	f.reason = "tlsv1 alert decrypt error";
	assert_cause(&f, UNKNOWN);
}

static void test_security_level(void **state)
{
	static const char *const reasons[] = {"legacy sigalg disallowed or unsupported",
					      "ee key too small",
					      "ca md too weak",
					      "dh key too small",
					      "unsupported protocol",
					      "no protocols available"};

	(void)state;
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct facts f = failed(SSL, reasons[i]);
		struct verdict v = first_verdict(&f);

		assert_int_equal(v.fault, FAULT_CONFIGURATION);
		assert_true(advises(&v, "SECLEVEL"));
	}
}

/* Signatures in TLS 1.1 are old with any certificate: the version is to blame. */
static void test_old_version(void **state)
{
	struct facts f = as_server(failed(SSL, "no suitable signature algorithm"));
	struct verdict v;

	(void)state;
	with_alert(&f, false, 80);
	assert_cause(&f, CIPHER_MISMATCH);
	f.version = 0x0302;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PROTOCOL_MISMATCH);
	assert_true(says(&v, "TLSv1.1"));
	assert_true(advises(&v, "SECLEVEL=0"));
	assert_not_cause(&f, CIPHER_MISMATCH);
	/* the client only learns of an internal error */
	f = failed(SSL, "tlsv1 alert internal error");
	with_alert(&f, true, 80);
	assert_cause(&f, UNKNOWN);
	f.version = 0x0302;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PROTOCOL_MISMATCH);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	f = failed(SSL, "no shared cipher");
	f.version = 0x0302;
	assert_cause(&f, CIPHER_MISMATCH);
}

/* ---- certificates and clocks ---------------------------------------------------------- */

static void test_clock(void **state)
{
	struct facts f = failed(SSL, "certificate verify failed");
	struct verdict v;

	(void)state;
	f.verify_result = 9;
	f.realtime_s = 2000000000; /* 2033-05-18 03:33:20 */
	f.not_before = 20480101000000;
	f.not_after = 20490101000000;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_CERTIFICATE);
	assert_int_equal(v.fault, FAULT_CONFIGURATION);
	assert_true(says(&v, "from 2048-01-01 00:00:00 to 2049-01-01 00:00:00"));
	assert_true(says(&v, "clock said 2033-05-18 03:33:20"));
	assert_true(advises(&v, "clock first"));

	f.verify_result = 10;
	f.not_before = 20190101000000;
	f.not_after = 20200101000000;
	v = first_verdict(&f);
	assert_true(advises(&v, "Renew"));
	/* one of our roots has expired: the peer's chain is valid */
	f.not_after = 20490101000000;
	v = first_verdict(&f);
	assert_true(says(&v, "a CA of the local list"));
	assert_true(advises(&v, "trusted CAs"));
	/* unknown dates are not reported */
	f.not_before = f.not_after = 0;
	v = first_verdict(&f);
	assert_false(says(&v, "valid from"));
	assert_true(says(&v, "clock said"));

	/* a clock this early is wrong, even if it was set later */
	f.realtime_s = 86400;
	v = first_verdict(&f);
	assert_int_equal(v.fault, FAULT_HOST);
	assert_true(says(&v, "clock is wrong"));
	assert_false(says(&v, "was set"));
	f.clock_step_s = 2000000000 - 86400;
	v = first_verdict(&f);
	assert_int_equal(v.fault, FAULT_HOST);
	assert_true(says(&v, "it was 2033-05-18 03:33:20"));
	/* for a wrong name the clock does not matter */
	f.verify_result = 62;
	assert_int_equal(first_verdict(&f).fault, FAULT_CONFIGURATION);
}

/* ---- bytes before TLS ------------------------------------------------------------------- */

/* A client whose connection carried `out` and `in` bytes before TLS; `left` bytes were unread. */
static struct facts after_plain_text(struct facts f, uint64_t out, uint64_t in, uint32_t left)
{
	f.at_start = quiet_socket();
	f.at_start.bytes_acked = out + 1;
	f.at_start.bytes_received = in;
	f.at_start.inq = left;
	f.at_start.outq = 0;
	f.bytes_in = 5;
	return f;
}

static void test_starttls_leftover(void **state)
{
	struct facts f = after_plain_text(failed(SSL, "wrong version number"), 10, 59, 11);
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_STARTTLS_LEFTOVER);
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "11 B of that were unread"));
	assert_not_cause(&f, PLAINTEXT_PEER);

	/* all was read: the server continued in plain text, or the rest arrived later */
	f.at_start.inq = 0;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PLAINTEXT_PEER);
	assert_true(doubts(&v, CAUSE_STARTTLS_LEFTOVER));
	assert_true(says(&v, "had carried 10 B out and 59 B in"));
	/* a greeting arrived before we sent anything: STARTTLS is missing */
	f = after_plain_text(failed(SSL, "wrong version number"), 0, 40, 40);
	assert_cause(&f, PLAINTEXT_PEER);
	assert_not_cause(&f, STARTTLS_LEFTOVER);
	/* a server naturally finds the ClientHello there */
	f = as_server(after_plain_text(failed(SSL, "http request"), 30, 200, 200));
	assert_not_cause(&f, STARTTLS_LEFTOVER);
	/* nothing is known of the socket */
	f = failed(SSL, "wrong version number");
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PLAINTEXT_PEER);
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&v, CAUSE_STARTTLS_LEFTOVER));
	f = after_plain_text(f, 0, 0, UINT32_MAX);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
}

static void test_proxy_header(void **state)
{
	struct facts f = after_plain_text(failed(SSL, "tlsv1 alert protocol version"), 48, 0, 0);
	struct verdict v;

	(void)state;
	f.bytes_in = 7;
	with_alert(&f, true, 70);
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PROXY_HEADER);
	assert_true(says(&v, "48 B were sent before the ClientHello"));
	assert_not_cause(&f, PROTOCOL_MISMATCH);
	/* nothing was sent before TLS: it is the version */
	f.at_start.bytes_acked = 1;
	f.version = 0x0303;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PROTOCOL_MISMATCH);
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_not_cause(&f, PROXY_HEADER);
	/* or something on the path sent it */
	f.version = 0x0304;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PROTOCOL_MISMATCH);
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&v, CAUSE_PROXY_HEADER));
}

static void test_plain_text_after_a_proxy_header(void **state)
{
	struct facts f = after_plain_text(failed(SSL, "wrong version number"), 48, 310, 309);
	struct verdict v;

	(void)state;
	/* an answer that the program did not read */
	f.at_start.tcp_state = TCP_CLOSE_WAIT; /* the end of stream counts as one byte */
	assert_cause(&f, PROXY_HEADER);
	assert_not_cause(&f, STARTTLS_LEFTOVER);
	/* PostgreSQL answers a request of eight bytes with one */
	f = after_plain_text(failed(SSL, "wrong version number"), 8, 1, 0);
	assert_not_cause(&f, PROXY_HEADER);
	assert_cause(&f, PLAINTEXT_PEER);
	/* it was taken for a request, or the peer just closed */
	f = after_plain_text(failed(SSL, "wrong version number"), 48, 0, 0);
	assert_cause(&f, PROXY_HEADER);
	f = after_plain_text(failed(SYSCALL, NULL), 48, 0, 0);
	f.bytes_in = 0;
	f.last_errno = 104;
	assert_cause(&f, PEER_CLOSED);
	assert_true(has_verdict(&f, CAUSE_PROXY_HEADER));

	/* for a server it is plain text */
	f = as_server(failed(SSL, "wrong version number"));
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PLAINTEXT_PEER);
	assert_true(doubts(&v, CAUSE_PROXY_HEADER));
	assert_true(advises(&v, "PROXY"));
}

static void test_refused_unread(void **state)
{
	struct facts f = failed(SYSCALL, NULL);
	struct verdict v;

	(void)state;
	f.last_errno = 104;
	f.bytes_in = 0;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_CLOSED);
	assert_true(says(&v, "never sent a byte of TLS"));
	assert_true(advises(&v, "access list"));
	f.bytes_in = 1400;
	v = first_verdict(&f);
	assert_false(advises(&v, "access list"));
}

/* ---- datagrams --------------------------------------------------------------------------------
 */

static struct facts over_udp(struct facts f)
{
	f.read.type = f.write.type = 0x515;
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_DATAGRAM;
	return f;
}

static void test_timer_not_driven(void **state)
{
	struct facts f = over_udp(waiting_client(3 * S));
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_DTLS_TIMER_NOT_DRIVEN);
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	f.timer_known = true;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&v, CAUSE_DTLS_LOST));
	assert_true(advises(&v, "DTLSv1_handle_timeout"));
	assert_not_cause(&f, PEER_SILENT);

	/* the timer was run, or is not due */
	f.timer_calls = 1;
	f.timer_since_ns = 900 * MS;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_DTLS_LOST));
	f = over_udp(waiting_client(900 * MS));
	assert_not_cause(&f, DTLS_TIMER_NOT_DRIVEN);
	/* the timeout doubles */
	f = over_udp(waiting_client(1900 * MS));
	f.bytes_out *= 2;
	f.longest_gap_ns = 1 * S;
	assert_not_cause(&f, DTLS_TIMER_NOT_DRIVEN);
	f.idle_ns = f.since_progress_ns = 2500 * MS;
	assert_cause(&f, DTLS_TIMER_NOT_DRIVEN);
	/* an expired timer is not a blocking socket's timeout */
	f = over_udp(waiting_client(3 * S));
	f.read.blocking = f.write.blocking = 1;
	assert_not_cause(&f, BLOCKING_WANT);
	/* a blocking call runs the timer itself */
	f = over_udp(blocked_client(3 * S));
	assert_not_cause(&f, DTLS_TIMER_NOT_DRIVEN);
	/* TCP has no such timer */
	f = waiting_client(3 * S);
	assert_not_cause(&f, DTLS_TIMER_NOT_DRIVEN);
}

static void test_dtls_lost(void **state)
{
	struct facts f = over_udp(finished_after_gap(2 * S, 0));
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_DTLS_LOST);
	assert_int_equal(v.fault, FAULT_NETWORK);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_PEER_SILENT));
	assert_not_cause(&f, PEER_SILENT);
	f.timer_calls = 2;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f = finished_after_gap(2 * S, 0);
	assert_cause(&f, PEER_SILENT);
	f = over_udp(finished_after_gap(200 * MS, 0));
	assert_cause(&f, NONE);

	/* part of the flight has arrived */
	f = over_udp(waiting_client(900 * MS));
	f.bytes_in = 600;
	f.state = "SSLv3/TLS read server hello";
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_DTLS_LOST);
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_not_cause(&f, RX_PARTIAL);

	f = over_udp(failed(SSL, "read timeout expired"));
	assert_cause(&f, DTLS_LOST);
}

static void test_dtls_refused(void **state)
{
	struct facts f = over_udp(failed(SYSCALL, NULL));

	(void)state;
	f.last_errno = 111;
	f.bytes_in = 0;
	assert_cause(&f, DTLS_REFUSED);
	assert_not_cause(&f, TCP_NOT_CONNECTED);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_SOCKET;
	assert_cause(&f, TCP_NOT_CONNECTED);
	assert_not_cause(&f, DTLS_REFUSED);
}

/* our role */

static void test_advice_fits_the_role(void **state)
{
	struct facts f = as_server(waiting_client(10 * S));
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_false(advises(&v, "accept queue"));
	f = waiting_client(10 * S);
	v = first_verdict(&f);
	assert_true(advises(&v, "accept queue"));
	/* a client certificate */
	f = as_server(failed(SSL, "certificate verify failed"));
	f.verify_result = 20;
	v = first_verdict(&f);
	assert_true(advises(&v, "the client sends"));
	f.verify_result = 10;
	v = first_verdict(&f);
	assert_true(advises(&v, "Have the client renew"));
	f.role = TLSTALL_ROLE_CLIENT;
	v = first_verdict(&f);
	assert_false(advises(&v, "the client"));
	f = over_udp(waiting_client(10 * S));
	f.timer_since_ns = 500 * MS;
	v = first_verdict(&f);
	assert_int_equal(v.cause, CAUSE_PEER_SILENT);
	assert_false(advises(&v, "accept queue"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_server_name),
		cmocka_unit_test(test_server_name_left_out),
		cmocka_unit_test(test_server_name_is_a_guess),
		cmocka_unit_test(test_legacy_renegotiation),
		cmocka_unit_test(test_psk),
		cmocka_unit_test(test_security_level),
		cmocka_unit_test(test_old_version),
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_starttls_leftover),
		cmocka_unit_test(test_proxy_header),
		cmocka_unit_test(test_plain_text_after_a_proxy_header),
		cmocka_unit_test(test_refused_unread),
		cmocka_unit_test(test_timer_not_driven),
		cmocka_unit_test(test_dtls_lost),
		cmocka_unit_test(test_dtls_refused),
		cmocka_unit_test(test_advice_fits_the_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
