/* SPDX-License-Identifier: Apache-2.0 */
/* Ticks convert to the same float as the processor's conversion, without raising its flags. */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"

static double error_of(uint64_t ticks)
{
	float stored;
	double error;

	clock_store(&stored, ticks);
	error = (double)stored - (double)ticks;
	return (error < 0 ? -error : error) / (double)(ticks ? ticks : 1);
}

static void close_to_what_it_was(void **state)
{
	uint64_t random = 88172645463325252ull;

	(void)state;
	for (uint64_t ticks = 0; ticks <= 1u << 24; ticks += ticks < 70000 ? 1 : 977)
		assert_true(error_of(ticks) == 0);
	for (int i = 0; i < 1000000; i++) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		assert_true(error_of(random >> i % 64) < 1e-7);
	}
	assert_true(error_of(UINT64_MAX) < 1e-7 && error_of(0x1ffffff) < 1e-7 && error_of(0x1fffffe) == 0);
}

static void no_flag_is_raised(void **state)
{
	float stored;

	(void)state;
	feclearexcept(FE_ALL_EXCEPT);
	for (int shift = 0; shift < 64; shift++)
		clock_store(&stored, UINT64_MAX >> shift);
	assert_int_equal(fetestexcept(FE_ALL_EXCEPT), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_to_what_it_was),
		cmocka_unit_test(no_flag_is_raised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
