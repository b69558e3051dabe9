/* SPDX-License-Identifier: Apache-2.0 */
/* The bookkeeping of one handshake, without OpenSSL: attempts, runs, gaps, the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "handshake.h"

enum { TID = 7, CONNECT = 0, MS = 1000 /* ticks */ };

/* A handshake on a socket that began at tick 1000, and its current time. */
struct life {
	struct tlstall_handshake h;
	uint64_t now;
};

static struct life new_life(void)
{
	struct life life = {.now = 1000};

	life.h.start = life.h.progress = life.now;
	life.h.read.bio_class = life.h.write.bio_class = TLSTALL_BIO_SOCKET;
	return life;
}

static void enter(struct life *life, uint64_t gap, const struct tlstall_socket *socket)
{
	struct handshake_enter in = {.ticks_per_ms = MS, .tid = TID, .function = CONNECT};

	life->now += gap;
	in.ticks = life->now;
	in.socket = socket;
	handshake_enter(&life->h, &in);
}

static struct handshake_leave result(int ret, uint8_t error)
{
	return (struct handshake_leave){.ret = ret, .error = error, .state = 3};
}

static enum tlstall_outcome leave(struct life *life, uint64_t duration, struct handshake_leave in)
{
	life->now += duration;
	in.ticks = life->now;
	return handshake_leave(&life->h, &in);
}

static enum tlstall_outcome call(struct life *life, uint64_t gap, struct handshake_leave in)
{
	enter(life, gap, NULL);
	return leave(life, 10, in);
}

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

/* ---- what goes wrong ---------------------------------------------------------- */

static void fails_in_the_last_state(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(-1, TLSTALL_ERROR_SSL);

	(void)state;
	in.ossl_error = 0x0a00010b;
	in.error_number = 104;
	enter(&life, 0, NULL);
	handshake_state(&life.h, 9, life.now + 3);
	assert_int_equal(leave(&life, 10, in), TLSTALL_OUTCOME_FAILED);
	assert_int_equal(life.h.failed_state, 9);
	assert_int_equal(life.h.ossl_error, 0x0a00010b);
	assert_int_equal(life.h.last_errno, 104);
	assert_int_equal(life.h.end, 1010);
}

static void a_call_after_the_failure_keeps_its_reason(void **state)
{
	struct life life = new_life();
	struct handshake_leave in = result(-1, TLSTALL_ERROR_SSL);

	(void)state;
	in.ossl_error = 0x0a00010b;
	call(&life, 0, in);
	assert_int_equal(call(&life, 5, result(-1, TLSTALL_ERROR_SYSCALL)), TLSTALL_OUTCOME_FAILED);
	assert_true(life.h.flags & TLSTALL_HS_FATAL_RESUMED);
	assert_int_equal(life.h.ossl_error, 0x0a00010b);
	assert_int_equal(life.h.last_error, TLSTALL_ERROR_SSL);
	assert_int_equal(life.h.end, 1000 + life.h.in_call);
	assert_int_equal(life.h.calls, 1);
	in = result(-1, TLSTALL_ERROR_SYSCALL);
	in.fatal_cpu_ns = 7;
	call(&life, 5, in);
	assert_int_equal(life.h.fatal_calls, 2);
	assert_int_equal(life.h.fatal_last, life.now);
	assert_int_equal(life.h.fatal_cpu_ns, 7);
	/* a BIO that did not set its retry flag fails like this, then succeeds */
	in = result(1, TLSTALL_ERROR_NONE);
	in.finished = true;
	assert_int_equal(call(&life, 5, in), TLSTALL_OUTCOME_OK);
	assert_int_equal(life.h.fatal_calls, 0);
}

static void the_cpu_time_is_that_of_the_longest_gap(void **state)
{
	struct life life = new_life();
	struct handshake_enter in = {.tid = TID, .gap_cpu_known = true};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	for (uint64_t gap = 30; gap >= 10; gap -= 10) {
		in.ticks = life.now += gap;
		in.gap_cpu_ns = gap / 10;
		handshake_enter(&life.h, &in);
		leave(&life, 1, result(-1, TLSTALL_ERROR_WANT_READ));
	}
	assert_true(life.h.flags & TLSTALL_HS_GAP_CPU);
	assert_int_equal(life.h.gap_cpu_ns, 3);
	/* a longer gap of unknown reason */
	call(&life, 100, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_false(life.h.flags & TLSTALL_HS_GAP_CPU);
}

static void the_first_stale_error_is_kept(void **state)
{
	struct life life = new_life();
	struct handshake_enter in = {.ticks = 1000, .tid = TID, .stale_error = 11};

	(void)state;
	handshake_enter(&life.h, &in);
	leave(&life, 10, result(-1, TLSTALL_ERROR_WANT_READ));
	in.stale_error = 12;
	in.ticks = 1020;
	handshake_enter(&life.h, &in);
	assert_true(life.h.flags & TLSTALL_HS_STALE_QUEUE);
	assert_int_equal(life.h.stale_error, 11);
}

static void two_threads_overlap(void **state)
{
	struct life life = new_life();
	struct handshake_enter in = {.ticks = 1005, .tid = TID + 1};

	(void)state;
	enter(&life, 0, NULL);
	handshake_enter(&life.h, &in);
	assert_true(life.h.flags & TLSTALL_HS_OVERLAP);
}

static void threads_in_turn_do_not_overlap(void **state)
{
	struct life life = new_life();
	struct handshake_enter in = {.ticks = 1015, .tid = TID + 1};

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	handshake_enter(&life.h, &in);
	assert_false(life.h.flags & TLSTALL_HS_OVERLAP);
	assert_int_equal(life.h.tid, TID + 1);
}

static void giving_up_ends_what_is_unfinished(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_WANT_READ));
	assert_true(handshake_give_up(&life.h, 5000));
	assert_int_equal(life.h.outcome, TLSTALL_OUTCOME_ABANDONED);
	assert_int_equal(life.h.end, 5000);
	assert_false(handshake_give_up(&life.h, 6000));
	assert_int_equal(life.h.end, 5000);
}

static void one_that_never_returns_ends_when_that_is_known(void **state)
{
	struct life life = new_life();
	const struct handshake_enter in = {.ticks = life.h.start + 1000};

	(void)state;
	handshake_enter(&life.h, &in);
	handshake_left(&life.h, in.ticks + 500);
	assert_true(life.h.flags & TLSTALL_HS_LEFT);
	assert_int_equal(life.h.enter, 0);
	assert_int_equal(life.h.leave, in.ticks + 500);
	assert_int_equal(life.h.in_call, 500);
}

static void giving_up_leaves_a_result_alone(void **state)
{
	struct life life = new_life();

	(void)state;
	call(&life, 0, result(-1, TLSTALL_ERROR_SSL));
	assert_false(handshake_give_up(&life.h, 5000));
	assert_int_equal(life.h.outcome, TLSTALL_OUTCOME_FAILED);
}

/* ---- states and alerts --------------------------------------------------------- */

static void states_have_times(void **state)
{
	struct life life = new_life();

	(void)state;
	handshake_state(&life.h, 4, 1500);
	handshake_state(&life.h, 5, 1700);
	assert_int_equal(life.h.state_count, 2);
	assert_int_equal(TLSTALL_STATE_ID(life.h.states[0]), 4);
	assert_int_equal(TLSTALL_STATE_TICKS(life.h.states[1]), 700);
	assert_int_equal(life.h.state, 5);
	assert_int_equal(life.h.progress, 1700);
}

static void the_last_state_is_overwritten_when_full(void **state)
{
	struct life life = new_life();

	(void)state;
	for (uint8_t i = 0; i < TLSTALL_STATES + 5; i++)
		handshake_state(&life.h, (uint8_t)(i + 1), 1000 + i);
	assert_int_equal(life.h.state_count, TLSTALL_STATES);
	assert_int_equal(TLSTALL_STATE_ID(life.h.states[0]), 1);
	assert_int_equal(TLSTALL_STATE_ID(life.h.states[TLSTALL_STATES - 1]), TLSTALL_STATES + 5);
}

static void alerts_tell_who_and_when(void **state)
{
	struct life life = new_life();

	(void)state;
	handshake_alert(&life.h, true, 2, 40, 1000 + 3 * MS, MS);
	handshake_alert(&life.h, false, 1, 0, 1000 + 4 * MS, MS);
	assert_int_equal(life.h.alert_count, 2);
	assert_int_equal(life.h.alerts[0].at_us, 3000);
	assert_int_equal(life.h.alerts[0].by_peer, 1);
	assert_int_equal(life.h.alerts[0].level, 2);
	assert_int_equal(life.h.alerts[0].description, 40);
	assert_int_equal(life.h.alerts[1].by_peer, 0);
	for (int i = 0; i < 10; i++)
		handshake_alert(&life.h, true, 1, 0, 2000, MS);
	assert_int_equal(life.h.alert_count, 4);
}

static void a_late_alert_does_not_wrap(void **state)
{
	struct life life = new_life();

	(void)state;
	handshake_alert(&life.h, true, 2, 40, 1000 + 7200ull * 1000 * MS, MS);
	assert_int_equal(life.h.alerts[0].at_us, UINT32_MAX);
}

/* Another writer of the trace may have set these counts. */
static void counts_that_lie_lead_nowhere(void **state)
{
	static struct tlstall_handshake slots[5], clean;
	static const uint8_t lies[] = {TLSTALL_STATES, TLSTALL_STATES + 1, 80, 128, UINT8_MAX};
	struct tlstall_handshake *h = &slots[2];

	(void)state;
	for (unsigned i = 0; i < sizeof(lies); i++) {
		memset(slots, 0, sizeof(slots));
		h->start = 1000;
		h->state_count = h->alert_count = lies[i];
		handshake_state(h, 7, 2000);
		assert_int_equal(h->state_count, TLSTALL_STATES);
		assert_int_equal(TLSTALL_STATE_ID(h->states[TLSTALL_STATES - 1]), 7);
		handshake_alert(h, true, 2, 40, 2000, MS);
		for (unsigned slot = 0; slot < 5; slot++)
			if (slot != 2)
				assert_memory_equal(&slots[slot], &clean, sizeof(clean));
		assert_int_equal(h->at_start.ticks, 0);
		assert_int_equal(h->sni[0], 0);
	}
}

/* The last state before a failure is found by the same count. */
static void a_count_that_lies_names_no_state(void **state)
{
	static struct tlstall_handshake slots[3];
	struct handshake_leave in = {.ticks = 2000, .ret = -1, .error = TLSTALL_ERROR_SSL};

	(void)state;
	memset(&slots[1], 0x55, 2 * sizeof(slots[1]));
	slots[0].start = 1000;
	slots[0].states[TLSTALL_STATES - 1] = 9ull << 56;
	slots[0].state_count = UINT8_MAX;
	assert_int_equal(handshake_leave(&slots[0], &in), TLSTALL_OUTCOME_FAILED);
	assert_int_equal(slots[0].failed_state, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_that_lie_lead_nowhere),
		cmocka_unit_test(a_count_that_lies_names_no_state),
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
		cmocka_unit_test(fails_in_the_last_state),
		cmocka_unit_test(a_call_after_the_failure_keeps_its_reason),
		cmocka_unit_test(the_first_stale_error_is_kept),
		cmocka_unit_test(two_threads_overlap),
		cmocka_unit_test(threads_in_turn_do_not_overlap),
		cmocka_unit_test(giving_up_ends_what_is_unfinished),
		cmocka_unit_test(the_cpu_time_is_that_of_the_longest_gap),
		cmocka_unit_test(one_that_never_returns_ends_when_that_is_known),
		cmocka_unit_test(giving_up_leaves_a_result_alone),
		cmocka_unit_test(states_have_times),
		cmocka_unit_test(the_last_state_is_overwritten_when_full),
		cmocka_unit_test(alerts_tell_who_and_when),
		cmocka_unit_test(a_late_alert_does_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
