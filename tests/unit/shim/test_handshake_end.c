/* SPDX-License-Identifier: Apache-2.0 */
/* The bookkeeping of one handshake, without OpenSSL: failures, other ends, states and alerts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "life.h"

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
		cmocka_unit_test(fails_in_the_last_state),
		cmocka_unit_test(a_call_after_the_failure_keeps_its_reason),
		cmocka_unit_test(the_cpu_time_is_that_of_the_longest_gap),
		cmocka_unit_test(the_first_stale_error_is_kept),
		cmocka_unit_test(two_threads_overlap),
		cmocka_unit_test(threads_in_turn_do_not_overlap),
		cmocka_unit_test(giving_up_ends_what_is_unfinished),
		cmocka_unit_test(one_that_never_returns_ends_when_that_is_known),
		cmocka_unit_test(giving_up_leaves_a_result_alone),
		cmocka_unit_test(states_have_times),
		cmocka_unit_test(the_last_state_is_overwritten_when_full),
		cmocka_unit_test(alerts_tell_who_and_when),
		cmocka_unit_test(a_late_alert_does_not_wrap),
		cmocka_unit_test(counts_that_lie_lead_nowhere),
		cmocka_unit_test(a_count_that_lies_names_no_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
