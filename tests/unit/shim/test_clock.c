/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ticks convert to the same float as the processor's conversion, without raising its flags. They go
 * on at the same rate when the counter may no longer be read. Clocks that are read together belong together.
 */
#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

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

static uint64_t now_ns(clockid_t id)
{
	struct timespec now = {0};

	syscall(SYS_clock_gettime, id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void spend(uint64_t ns)
{
	for (uint64_t start = now_ns(CLOCK_MONOTONIC); now_ns(CLOCK_MONOTONIC) - start < ns;)
		;
}

#define AWAY_NS 20000000u

static int away_after; /* the thread loses its processor after the so-manieth reading */

/* In place of libc's. */
int clock_gettime(clockid_t id, struct timespec *now)
{
	int result = (int)syscall(SYS_clock_gettime, id, now);

	if (away_after && !--away_after)
		spend(AWAY_NS);
	return result;
}

/* Where the ticks are between two pairs, in nanoseconds since the first. */
static double ns_of(const struct tlstall_clock_pair *first, const struct tlstall_clock_pair *last, uint64_t ticks)
{
	return (double)(ticks - first->ticks) * (double)(last->monotonic_ns - first->monotonic_ns) /
	       (double)(last->ticks - first->ticks);
}

static void pairs_of_an_interrupted_thread(void **state)
{
	(void)state;
	clock_choose();
	for (int after = 1; after <= 2; after++) {
		struct tlstall_clock_pair first = clock_pair(), pair, last;

		away_after = after;
		pair = clock_pair();
		assert_int_equal(away_after, 0);
		last = clock_pair();
		assert_in_range((uint64_t)(ns_of(&first, &last, pair.ticks) + AWAY_NS),
				pair.monotonic_ns - first.monotonic_ns + AWAY_NS - AWAY_NS / 4,
				pair.monotonic_ns - first.monotonic_ns + AWAY_NS + AWAY_NS / 4);
		assert_in_range(pair.realtime_ns - pair.monotonic_ns,
				first.realtime_ns - first.monotonic_ns - AWAY_NS / 4,
				first.realtime_ns - first.monotonic_ns + AWAY_NS / 4);
	}
}

/* Ticks per nanosecond. A pair is right also on a busy machine, a loop of so many nanoseconds is not. */
static double rate(void)
{
	struct tlstall_clock_pair first = clock_pair(), last;

	spend(AWAY_NS);
	last = clock_pair();
	return (double)(last.ticks - first.ticks) / (double)(last.monotonic_ns - first.monotonic_ns);
}

static void go_on_without_the_counter(void **state)
{
	struct tlstall_clock_pair before, after;
	double by_counter, gone_on;

	(void)state;
	clock_choose();
	by_counter = rate();
	before = clock_pair();
	clock_leave_counter();
	assert_false(clock_reads_counter);
	after = clock_pair();
	assert_true(after.ticks >= before.ticks);
	gone_on = (double)(after.ticks - before.ticks) / by_counter;
	assert_true(gone_on < (double)(after.monotonic_ns - before.monotonic_ns) + 1000000);
	assert_true(rate() > 0.99 * by_counter && rate() < 1.01 * by_counter);
	assert_true(clock_cpu_ns() && clock_realtime_ns());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(close_to_what_it_was),
		cmocka_unit_test(no_flag_is_raised),
		cmocka_unit_test(pairs_of_an_interrupted_thread),
		cmocka_unit_test(go_on_without_the_counter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
