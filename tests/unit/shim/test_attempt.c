/* SPDX-License-Identifier: Apache-2.0 */
/* The slot of a handshake that has ended stays free for others, whatever happens to its object. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "attempt.h"
#include "fake_trace.h"
#include "nesting.h"
#include "pool.h"

static const struct libssl lib;

/* An object whose handshake has ended well. */
static struct track *ended(void)
{
	struct track *track;

	fake_trace();
	mapping.handshakes[0].number = 1;
	mapping.handshakes[0].status = TLSTALL_SLOT_LINGER;
	mapping.handshakes[0].outcome = TLSTALL_OUTCOME_OK;
	track = pool_take(&lib, (const SSL *)0x1000);
	assert_non_null(track);
	track->number = 1;
	track_set_slot(track, &mapping.handshakes[0]);
	track_set_phase(track, PHASE_DONE);
	return track;
}

static void after_the_timer(void **state)
{
	(void)state;
	attempt_timer(ended(), false);
	assert_int_equal(mapping.handshakes[0].status, TLSTALL_SLOT_LINGER);
}

static void after_an_op_that_never_returned(void **state)
{
	(void)state;
	nesting_inside.token = ended()->token;
	nesting_inside.frame = 1;
	nesting_note_left();
	assert_int_equal(mapping.handshakes[0].status, TLSTALL_SLOT_LINGER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_the_timer),
		cmocka_unit_test(after_an_op_that_never_returned),
	};

	return cmocka_run_group_tests_name("attempt", tests, NULL, NULL);
}
