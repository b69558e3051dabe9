/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks convert to the same float as the processor's conversion, without raising its flags. They go
 * on at the same rate when the counter may no longer be read.
 */
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

static uint64_t ticks_in(uint64_t ns)
{
	uint64_t start = clock_monotonic_ns(), before = clock_ticks();

	while (clock_monotonic_ns() - start < ns)
		;
	return clock_ticks() - before;
}

/* The least of some, because this thread may have to wait for a processor. */
static uint64_t least_ticks_in(uint64_t ns)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 10; i++) {
		uint64_t ticks = ticks_in(ns);

		least = ticks < least ? ticks : least;
	}
	return least;
}

static void go_on_without_the_counter(void **state)
{
	uint64_t by_counter, before;

	(void)state;
	clock_choose();
	by_counter = least_ticks_in(1000000);
	before = clock_ticks();
	clock_leave_counter();
	assert_false(clock_reads_counter);
	assert_true(clock_ticks() >= before);
	assert_true(clock_ticks() - before < 1000 * by_counter);
	assert_in_range(least_ticks_in(1000000), by_counter - by_counter / 20, by_counter + by_counter / 20);
	assert_true(clock_cpu_ns() && clock_realtime_ns());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_to_what_it_was),
		cmocka_unit_test(no_flag_is_raised),
		cmocka_unit_test(go_on_without_the_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
