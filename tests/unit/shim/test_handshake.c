/* SPDX-License-Identifier: Apache-2.0 */
/* The bookkeeping of one handshake, without OpenSSL: attempts, runs, gaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "life.h"

static void succeeds_at_once(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(1, TLSTALL_ERROR_NONE);

	(void)state;
	in.finished = true;
	in.bytes_in = 900;
	in.bytes_out = 517;
	in.cpu_ns = 44;
	enter(&life, 0, NULL);
	assert_int_equal(life.h.enter, 1000);
	assert_int_equal(life.h.in_call_function, CONNECT);
	assert_int_equal(leave(&life, 300, in), TLSTALL_OUTCOME_OK);
	assert_int_equal(life.h.enter, 0);
	assert_int_equal(life.h.end, 1300);
	assert_int_equal(life.h.leave, 1300);
	assert_int_equal(life.h.in_call, 300);
	assert_int_equal(life.h.longest_call, 300);
	assert_int_equal(life.h.cpu_ns, 44);
	assert_int_equal(life.h.calls, 1);
	assert_int_equal(life.h.retries, 0);
	assert_int_equal(life.h.first_flight, 517);
	assert_int_equal(life.h.bytes_in, 900);
}

/* SSL_write of 0 bytes drives the handshake, returns 0, and looks like an error. */
static void finished_counts_more_than_the_error(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(0, TLSTALL_ERROR_SYSCALL);

	(void)state;
	in.finished = true;
	assert_int_equal(call(&life, 0, in), TLSTALL_OUTCOME_OK);
}

static void counts_attempts_by_what_was_wanted(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_WRITE));
	call(&life, 5, result(-1, TLSTALL_ERROR_WANT_READ));
	call(&life, 5, result(-1, TLSTALL_ERROR_WANT_READ));
	call(&life, 5, result(-1, TLSTALL_ERROR_WANT_X509_LOOKUP));
	assert_int_equal(call(&life, 5, result(-1, 11)), TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(life.h.calls, 5);
	assert_int_equal(life.h.retries, 4);
	assert_int_equal(life.h.want_read, 2);
	assert_int_equal(life.h.want_write, 1);
	assert_int_equal(life.h.want_other, 2);
	assert_int_equal(life.h.last_error, 11);
	assert_int_equal(life.h.in_call, 50);
}

static void early_data_is_no_end(void **state)
{
	struct life life = new_life();

	(void)state;
	assert_int_equal(call(&life, 0, result(1, TLSTALL_ERROR_NONE)), TLSTALL_OUTCOME_IN_FLIGHT);
	assert_int_equal(life.h.end, 0);
}

/* ---- runs ------------------------------------------------------------------- */

static void a_spin_is_one_long_run(void **state)
{
	struct life life = new_life();

	(void)state;
	for (int i = 0; i < 1000; i++)
		call(&life, 1, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_int_equal(life.h.run, 1000);
	assert_int_equal(life.h.longest_run, 1000);
	assert_int_equal(life.h.longest_run_error, TLSTALL_ERROR_WANT_READ);
	assert_int_equal(life.h.run_start, 1011);
}

static void a_byte_breaks_the_run(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(-1, TLSTALL_ERROR_WANT_READ);

	(void)state;
	for (int i = 0; i < 5; i++)
		call(&life, 1, in);
	in.bytes_in = 1;
	call(&life, 1, in);
	assert_int_equal(life.h.run, 1);
	assert_int_equal(life.h.longest_run, 5);
	assert_int_equal(life.h.progress, life.now);
}

static void a_state_breaks_the_run(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(-1, TLSTALL_ERROR_WANT_READ);

	(void)state;
	call(&life, 1, in);
	call(&life, 1, in);
	in.state = 4;
	call(&life, 1, in);
	assert_int_equal(life.h.run, 1);
	/* a state began and ended during the op */
	enter(&life, 1, NULL);
	life.now += 5;
	handshake_state(&life.h, 4, life.now);
	leave(&life, 5, in);
	assert_int_equal(life.h.run, 1);
}

static void another_result_breaks_the_run(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 1, result(-1, TLSTALL_ERROR_WANT_WRITE));
	call(&life, 1, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_int_equal(life.h.run, 1);
	assert_int_equal(life.h.longest_run, 1);
}

/* ---- gaps ------------------------------------------------------------------- */

static void gaps_wait_for_the_peer(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	call(&life, 40 * MS, result(-1, TLSTALL_ERROR_WANT_READ));
	call(&life, 30 * MS, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_int_equal(life.h.gap_waiting, 70 * MS);
	assert_int_equal(life.h.gap_ready, 0);
	assert_int_equal(life.h.longest_gap, 40 * MS);
	assert_int_equal(life.h.longest_gap_start, 1010);
	assert_int_equal(life.h.longest_gap_want, TLSTALL_ERROR_WANT_READ);
}

static void data_lay_ready_in_the_gap(void **state)
{
	struct life life = new_life();
	struct tlstall_socket socket = {
		.ticks = 1, .tcp_state = 1, .inq = 100, .last_data_recv_ms = 25};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	enter(&life, 40 * MS, &socket);
	assert_int_equal(life.h.gap_ready, 25 * MS);
	assert_int_equal(life.h.gap_waiting, 15 * MS);
	assert_int_equal(life.h.longest_gap_ready_ms, 25);
	assert_int_equal(life.h.at_gap.inq, 100);
}

static void ready_is_never_more_than_the_gap(void **state)
{
	struct life life = new_life();
	struct tlstall_socket socket = {
		.ticks = 1, .tcp_state = 1, .inq = 100, .last_data_recv_ms = 900};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	enter(&life, 40 * MS, &socket);
	assert_int_equal(life.h.gap_ready, 40 * MS);
	assert_int_equal(life.h.gap_waiting, 0);
}

static void room_to_write_lay_ready(void **state)
{
	struct life life = new_life();
	struct tlstall_socket socket = {
		.ticks = 1, .tcp_state = 1, .inq = 100, .last_ack_recv_ms = 10};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_WRITE));
	enter(&life, 40 * MS, &socket);
	assert_int_equal(life.h.gap_ready, 10 * MS);
}

static void unknown_queues_are_not_ready(void **state)
{
	struct life life = new_life();
	struct tlstall_socket socket = {.ticks = 1,
					.tcp_state = 1,
					.inq = UINT32_MAX,
					.outq = UINT32_MAX,
					.last_data_recv_ms = 5,
					.last_ack_recv_ms = 5};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	enter(&life, 40 * MS, &socket);
	leave(&life, 10, result(-1, TLSTALL_ERROR_WANT_WRITE));
	enter(&life, 40 * MS, &socket);
	assert_int_equal(life.h.gap_ready, 0);
}

static void nobody_knows_of_a_memory_bio(void **state)
{
	struct life life = new_life();

	(void)state;
	life.h.read.bio_class = TLSTALL_BIO_MEMORY;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	call(&life, 40 * MS, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_int_equal(life.h.gap_unknown, 40 * MS);
	assert_int_equal(life.h.gap_waiting, 0);
}

static void a_clock_that_ran_back_makes_no_gap(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	life.now -= 500;
	enter(&life, 0, NULL);
	assert_int_equal(life.h.longest_gap, 0);
	life.now -= 100;
	leave(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_int_equal(life.h.in_call, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(succeeds_at_once),
		cmocka_unit_test(finished_counts_more_than_the_error),
		cmocka_unit_test(counts_attempts_by_what_was_wanted),
		cmocka_unit_test(early_data_is_no_end),
		cmocka_unit_test(a_spin_is_one_long_run),
		cmocka_unit_test(a_byte_breaks_the_run),
		cmocka_unit_test(a_state_breaks_the_run),
		cmocka_unit_test(another_result_breaks_the_run),
		cmocka_unit_test(gaps_wait_for_the_peer),
		cmocka_unit_test(data_lay_ready_in_the_gap),
		cmocka_unit_test(ready_is_never_more_than_the_gap),
		cmocka_unit_test(room_to_write_lay_ready),
		cmocka_unit_test(unknown_queues_are_not_ready),
		cmocka_unit_test(nobody_knows_of_a_memory_bio),
		cmocka_unit_test(a_clock_that_ran_back_makes_no_gap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
