/* SPDX-License-Identifier: Apache-2.0 */
/* A track is used again just as its object's thread enters a call with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "call.h"
#include "fake_trace.h"
#include "pool.h"

#define MANY 16384u /* as many as are taken before the oldest are used again */

static struct track *ours, *taken;
static bool take;
static uint64_t token; /* in the object */

static void *ex_data(const SSL *ssl, int index)
{
	(void)ssl, (void)index;
	return (void *)(uintptr_t)token;
}

static unsigned long no_error(void)
{
	return 0;
}

static int is_quic(const SSL *ssl)
{
	(void)ssl;
	return 0;
}

static struct libssl lib;
static SSL *const object = (SSL *)0x1000, *const another = (SSL *)0x2000;

/* Called between the lookup of the track and the mark that a call is in progress. */
static BIO *let_others_go_first(const SSL *ssl)
{
	(void)ssl;
	while (take && taken != ours)
		taken = pool_take(&lib, another);
	return NULL;
}

static struct call a_call(void)
{
	return (struct call){.lib = &lib, .ssl = object, .from = lib.start, .function = FN_SSL_shutdown};
}

static void the_call_goes_unrecorded(void **state)
{
	struct call call = a_call();

	(void)state;
	take = true;
	assert_false(call_enter(&call));
	assert_ptr_equal(taken, ours);
	assert_ptr_equal(ours->ssl, another);
	assert_false(track_is_inside(ours));
}

static void a_call_in_progress_keeps_it(void **state)
{
	struct call call = a_call();

	(void)state;
	token = ours->token;
	take = false;
	assert_true(call_enter(&call));
	for (uint32_t i = 0; i < 2 * MANY; i++)
		assert_ptr_not_equal(pool_take(&lib, another), ours);
	assert_int_equal(ours->token, token);
}

static int begin(void **state)
{
	(void)state;
	fake_trace();
	mapping.usable = true;
	lib = (struct libssl){
		.start = 0x10000,
		.size = 0x1000,
		.program_memory = true,
		.SSL_get_ex_data = ex_data,
		.ERR_peek_error = no_error,
		.SSL_is_quic = is_quic,
		.SSL_get_rbio = let_others_go_first,
	};
	for (uint32_t i = 0; i < MANY; i++) {
		struct track *track = pool_take(&lib, another);

		if (!track)
			return -1;
		ours = i ? ours : track;
	}
	ours->used = true;
	token = ours->token;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_call_goes_unrecorded),
		cmocka_unit_test(a_call_in_progress_keeps_it),
	};

	return cmocka_run_group_tests_name("hold", tests, begin, NULL);
}
