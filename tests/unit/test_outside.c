/* SPDX-License-Identifier: Apache-2.0 */
/* What the kernel and the stack show from outside, and what they do not. */
#include "diagnosis/stack.h"
#include "make_facts.h"

/* ---- acknowledged, or never sent ---------------------------------------------------------- */

static struct facts looked_at(void)
{
	struct facts f = waiting_client(3 * S);

	f.live = quiet_socket();
	f.tcp = (struct tlstall_tcp){.known = 1, .window = 65536};
	return f;
}

static void test_acknowledged(void **state)
{
	struct facts f = looked_at();
	struct verdict v = first_verdict(&f);

	(void)state;
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_true(says(&v, "was acknowledged"));
	/* no segment is in flight, but fewer bytes were acknowledged than written */
	f.live.bytes_acked = 1;
	v = first_verdict(&f);
	assert_false(says(&v, "was acknowledged"));
	assert_true(v.confidence < CONFIDENCE_HIGH);
}

static void test_never_sent(void **state)
{
	struct facts f = looked_at();
	struct verdict v;

	(void)state;
	f.live.bytes_acked = 1;
	f.live.outq = f.tcp.notsent = 517;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "TX_NOT_ACKED");
	assert_int_equal(v.fault, FAULT_HOST);
	assert_true(says(&v, "never sent"));
	assert_false(says(&v, "was acknowledged"));
}

static void test_window_shut(void **state)
{
	struct facts f = looked_at();
	struct verdict v;

	(void)state;
	f.last_error = WANT_WRITE;
	f.live.outq = f.tcp.notsent = 4000;
	f.tcp.window = 0;
	f.tcp.probes = 3;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_WINDOW_SHUT");
	assert_int_equal(v.fault, FAULT_PEER);
	assert_not_cause(&f, PEER_SILENT);
	assert_not_cause(&f, TX_NOT_ACKED);
	/* a server stuck in its tickets is the program's fault */
	f = as_server(f);
	f.state = "SSLv3/TLS write session ticket";
	assert_cause(&f, TICKET_DEADLOCK);
	assert_not_cause(&f, PEER_WINDOW_SHUT);
}

static void test_lost_on_the_way_to_us(void **state)
{
	struct facts f = looked_at();
	struct verdict v;

	(void)state;
	f.tcp.out_of_order = 2;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "RX_LOST");
	assert_int_equal(v.fault, FAULT_NETWORK);
	/* the kernel knows: what came without being new was a duplicate */
	f.tcp.out_of_order = 0;
	f.at_start = f.live;
	f.at_start.data_segs_in = 1;
	f.live.data_segs_in = 3;
	assert_not_cause(&f, RX_LOST);
	/* the shim's own reading at the end: data had arrived, but could not be read */
	f = freed(waiting_client(3 * S), 3 * S);
	f.at_start = f.at_end = quiet_socket();
	f.at_start.bytes_acked = 1;
	f.at_start.data_segs_in = 1;
	f.at_end.data_segs_in = 3;
	assert_cause(&f, RX_LOST);
	f.at_end.data_segs_in = 1;
	assert_cause(&f, PEER_SILENT);
}

static void test_keepalive_probes(void **state)
{
	struct facts f = looked_at();
	struct verdict v;

	(void)state;
	f.tcp.probes = 4;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "TX_NOT_ACKED");
	assert_true(says(&v, "4 keepalive probes"));
	/* one probe is always in flight */
	f.tcp.probes = 1;
	assert_cause(&f, PEER_SILENT);

	f = failed(SYSCALL, NULL);
	f.last_errno = 110; /* ETIMEDOUT */
	f.at_end = quiet_socket();
	v = first_verdict(&f);
	assert_true(says(&v, "nothing to send"));
	assert_false(says(&v, "gave up sending"));
	f.at_end.outq = 517;
	v = first_verdict(&f);
	assert_true(says(&v, "gave up sending"));
}

/* ---- fragments ----------------------------------------------------------------------------- */

static void test_asking_is_no_piece(void **state)
{
	struct facts f = finished_after_gap(1 * S, 0);

	(void)state;
	/* a timer made it retry five times in the 4 s of one wait */
	f.age_ns = 4 * S;
	f.gap_waiting_ns = f.state_wait_ns = 39 * S / 10;
	f.state_wait_flight = true;
	f.calls = 6;
	f.retries = f.want_read = f.longest_run = 5;
	f.longest_run_error = WANT_READ;
	f.bytes_in = 1365;
	assert_cause(&f, PEER_SILENT);
	assert_not_cause(&f, RX_PARTIAL);
	assert_true(first_verdict(&f).cost_ns > 3 * S);
	/* each call read something */
	f.longest_run = 1;
	f.longest_gap_ns = 800 * MS;
	assert_cause(&f, RX_PARTIAL);
}

static void test_after_a_hello_retry_request(void **state)
{
	struct facts f = waiting_client(3 * S);

	(void)state;
	f.hello_retry = true;
	f.bytes_in = 99;
	f.since_state_ns = f.since_progress_ns + 1 * MS;
	assert_cause(&f, PEER_SILENT);
	/* more arrived after our second ClientHello */
	f.since_state_ns = f.since_progress_ns + 1 * S;
	assert_cause(&f, RX_PARTIAL);
}

/* ---- stacks -------------------------------------------------------------------------------- */

static void test_stacks(void **state)
{
	(void)state;
	assert_int_equal(stack_says(NULL), STACK_UNKNOWN);
	assert_int_equal(stack_says(""), STACK_UNKNOWN);
	assert_int_equal(stack_says("recv < take < BIO_read < libssl.so.3 < SSL_connect"),
			 STACK_IN_BIO);
	assert_int_equal(stack_says("poll < getaddrinfo < verify < X509_verify_cert < SSL_connect"),
			 STACK_IN_CALLBACK);
	/* what a callback does with TLS of its own still belongs to the callback */
	assert_int_equal(stack_says("read < BIO_read < SSL_read < fetch < verify < "
				    "X509_verify_cert < libssl.so.3 < SSL_connect"),
			 STACK_IN_CALLBACK);
	assert_int_equal(stack_says("poll < C_Sign < p11.so < EVP_DigestSign < libssl.so.3 < "
				    "SSL_accept"),
			 STACK_IN_KEY);
	/* a CA file, read through its own BIO */
	assert_int_equal(
		stack_says("openat < fopen < BIO_ctrl < X509_load_cert_crl_file < libcrypto.so.3 < "
			   "X509_verify_cert < libssl.so.3 < SSL_connect"),
		STACK_IN_CALLBACK);
	/* a job of OpenSSL */
	assert_int_equal(stack_says("recv < BIO_read < libssl.so.3 < libcrypto.so.3"),
			 STACK_IN_BIO);
	assert_int_equal(stack_says("getrandom < RAND_bytes < libcrypto.so.3 < SSL_connect"),
			 STACK_IN_CALLBACK);
}

static void test_bio_of_the_programs_own(void **state)
{
	struct facts f = blocked_client(4 * S);
	struct verdict v;

	(void)state;
	f.read = f.write = (struct tlstall_transport){
		.fd = -1, .bio_class = TLSTALL_BIO_CUSTOM, .blocking = 2};
	f.wait = TLSTALL_WAIT_OTHER_FD;
	f.wait_syscall = "recvfrom";
	f.wait_fd = 5;
	/* it may be the program's own */
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "PEER_SILENT");
	assert_int_equal(v.confidence, CONFIDENCE_LOW);
	assert_true(doubts(&v, CAUSE_CALLBACK_BLOCKED));
	assert_not_cause(&f, CALLBACK_BLOCKED);
	/* the stack shows that it is not */
	f.stack_symbols = "recvfrom < lookup < verify < X509_verify_cert < SSL_connect";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_true(v.confidence < CONFIDENCE_HIGH);
	/* a file name shows that it is not a socket */
	f.stack_symbols = NULL;
	f.wait_syscall = "openat";
	f.wait_fd = -1;
	assert_cause(&f, CALLBACK_BLOCKED);
	/* OpenSSL's own BIO: its descriptor is known, and this is another one */
	f = blocked_client(4 * S);
	f.wait = TLSTALL_WAIT_OTHER_FD;
	f.wait_fd = 9;
	assert_cause(&f, CALLBACK_BLOCKED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
}

/* The stack tells whose lock it is. */
static void test_whose_lock(void **state)
{
	struct facts f = blocked_client(5 * S);
	struct verdict v;

	(void)state;
	f.wait = TLSTALL_WAIT_FUTEX;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&(struct verdict[1]){first_verdict(&f)}[0], CAUSE_CALLBACK_BLOCKED));
	f.stack_symbols = "__lll_lock_wait < pthread_mutex_lock < look_up < libcrypto.so.3 < "
			  "X509_verify_cert < libssl.so.3 < SSL_connect";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_int_equal(v.fault, FAULT_PROGRAM);
	assert_true(says(&v, "in look_up, which is not OpenSSL's"));
	assert_not_cause(&f, LOCK_OR_ENTROPY);
	f.stack_symbols =
		"__futex_abstimed_wait_common < pthread_cond_timedwait < python3.11 < "
		"PyGILState_Ensure < _ssl.cpython-311-x86_64-linux-gnu.so < libssl.so.3 < "
		"SSL_do_handshake";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "CALLBACK_BLOCKED");
	assert_true(says(&v, "in _ssl.cpython"));
	/* OpenSSL's own */
	f.stack_symbols = "libc.so.6 < pthread_rwlock_wrlock < CRYPTO_THREAD_write_lock < "
			  "X509_STORE_CTX_get_by_subject < libssl.so.3 < SSL_connect";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "LOCK_OR_ENTROPY");
	assert_int_equal(v.confidence, CONFIDENCE_HIGH);
	assert_int_equal(v.not_told_from_count, 0);
	/* a program that contains OpenSSL, without symbols: it may be either */
	f.stack_symbols = "pthread_rwlock_wrlock < node < SSL_do_handshake";
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "LOCK_OR_ENTROPY");
	assert_int_equal(v.confidence, CONFIDENCE_MEDIUM);
	assert_true(doubts(&v, CAUSE_CALLBACK_BLOCKED));
}

static void test_private_key_that_waits(void **state)
{
	struct facts f = as_server(blocked_client(4 * S));

	(void)state;
	f.wait = TLSTALL_WAIT_FUTEX;
	f.stack_symbols = "futex < C_Sign < EVP_DigestSign < libssl.so.3 < SSL_accept";
	f.bytes_in = 517;
	assert_cause(&f, KEY_OPERATION_SLOW);
	assert_not_cause(&f, LOCK_OR_ENTROPY);
	f.stack_symbols = "futex < CRYPTO_THREAD_write_lock < libssl.so.3 < SSL_accept";
	assert_cause(&f, LOCK_OR_ENTROPY);
	/* it computed when it was stopped */
	f.wait = TLSTALL_WAIT_STOPPED;
	f.stack_symbols = "bn_mul_mont < RSA_sign < EVP_DigestSign < libssl.so.3 < SSL_accept";
	assert_cause(&f, APP_NOT_RESUMING);
	assert_not_cause(&f, KEY_OPERATION_SLOW);

	/* after the end, the states show where */
	f = as_server(finished(3 * S));
	f.in_call_ns = f.longest_call_ns = f.state_wait_ns = 29 * S / 10;
	f.cpu_ns = 2 * MS;
	f.state_wait = "SSLv3/TLS write certificate";
	assert_cause(&f, KEY_OPERATION_SLOW);
	assert_not_cause(&f, CALLBACK_BLOCKED);
	f.state_wait = "SSLv3/TLS read client hello";
	assert_cause(&f, CALLBACK_BLOCKED);
}

static void test_memory_bio_is_never_sure(void **state)
{
	struct facts f = failed(SSL, "unexpected eof while reading");

	(void)state;
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_HIGH);
	f.read.bio_class = f.write.bio_class = TLSTALL_BIO_MEMORY;
	assert_cause(&f, PEER_CLOSED);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
}

/* ---- who has the bytes -------------------------------------------------------------------- */

static void test_read_that_does_not_return(void **state)
{
	struct facts f = blocked_client(3 * S);
	struct verdict v;

	(void)state;
	f.live = quiet_socket();
	f.wait = TLSTALL_WAIT_ON_SOCKET;
	f.wait_syscall = "read";
	f.live.last_data_recv_ms = 3000;
	assert_cause(&f, PEER_SILENT);
	f.live.inq = 1168;
	v = first_verdict(&f);
	assert_string_equal(cause_name(v.cause), "APP_NOT_RESUMING");
	assert_true(says(&v, "1168 B have been unread"));
	assert_not_cause(&f, PEER_SILENT);
	/* in a write, it does not read */
	f.wait_syscall = "write";
	assert_not_cause(&f, APP_NOT_RESUMING);
}

static struct facts found_from_outside(void)
{
	struct facts f = looked_at();

	f.flags |= TLSTALL_HS_LOOKED;
	f.live.last_data_sent_ms = 3000;
	f.live.last_data_recv_ms = 3100;
	return f;
}

static void test_read_by_another(void **state)
{
	struct facts f = found_from_outside();

	(void)state;
	f.live.bytes_received = 1168;
	assert_cause(&f, PEER_SILENT); /* it had come before the ClientHello: STARTTLS */
	f.live.last_data_recv_ms = 2500;
	assert_cause(&f, TWO_ON_ONE_SOCKET);
	assert_int_equal(first_verdict(&f).confidence, CONFIDENCE_MEDIUM);
	f.live.inq = 1168;
	assert_not_cause(&f, TWO_ON_ONE_SOCKET);
}

static void test_another_connection(void **state)
{
	struct facts f = found_from_outside();

	(void)state;
	assert_not_cause(&f, BAD_DESCRIPTOR);
	f.live.bytes_acked = 1;
	assert_cause(&f, BAD_DESCRIPTOR);
	assert_not_cause(&f, PEER_SILENT);
}

/* A warning is no part of an answer. */
static void test_alert_is_no_answer(void **state)
{
	struct facts f = looked_at();

	(void)state;
	f.bytes_in = f.live.bytes_received = 7;
	assert_cause(&f, RX_PARTIAL);
	with_alert(&f, true, 112);
	f.alerts[0].level = 1;
	assert_cause(&f, PEER_SILENT);
	f.bytes_in = f.live.bytes_received = 12;
	assert_cause(&f, RX_PARTIAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_acknowledged),
		cmocka_unit_test(test_never_sent),
		cmocka_unit_test(test_window_shut),
		cmocka_unit_test(test_lost_on_the_way_to_us),
		cmocka_unit_test(test_keepalive_probes),
		cmocka_unit_test(test_asking_is_no_piece),
		cmocka_unit_test(test_after_a_hello_retry_request),
		cmocka_unit_test(test_stacks),
		cmocka_unit_test(test_bio_of_the_programs_own),
		cmocka_unit_test(test_whose_lock),
		cmocka_unit_test(test_private_key_that_waits),
		cmocka_unit_test(test_memory_bio_is_never_sure),
		cmocka_unit_test(test_read_that_does_not_return),
		cmocka_unit_test(test_read_by_another),
		cmocka_unit_test(test_another_connection),
		cmocka_unit_test(test_alert_is_no_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
