/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include "clock.h"
#include "mapping.h"

/*
 * How old the last look at this thread's clock may be when a call begins: the CPU
 * time since then counts as the call's, up to the call's duration.
 */
#define FRESH_US 50
#define FRESH_WITHOUT_BLOCKING_US 10000
/* Shorter calls count as on the CPU. */
#define LONG_US 20
#define LONG_WITHOUT_BLOCKING_US 1000

static __thread struct {
	uint64_t ticks, cpu_ns;
} seen;

static uint64_t look(uint64_t ticks)
{
	seen.ticks = ticks;
	seen.cpu_ns = clock_cpu_ns();
	return seen.cpu_ns;
}

void cpu_enter(uint64_t ticks, bool may_block)
{
	uint64_t fresh = clock_rough_ticks(may_block ? FRESH_US : FRESH_WITHOUT_BLOCKING_US);

	if (ticks - seen.ticks > fresh)
		look(ticks);
}

static uint64_t nanoseconds(uint64_t ticks, uint64_t now)
{
	if (clock_source == TLSTALL_CLOCK_MONOTONIC)
		return ticks;
	return (uint64_t)((double)ticks * 1e6 / (double)mapping_ticks_per_ms(now));
}

uint64_t cpu_used(uint64_t enter, uint64_t leave, bool may_block)
{
	uint64_t longer = clock_rough_ticks(may_block ? LONG_US : LONG_WITHOUT_BLOCKING_US);
	uint64_t duration = nanoseconds(leave - enter, leave), before = seen.cpu_ns, used;

	if (leave - enter < longer)
		return duration;
	used = look(leave) - before; /* after a fork the clock starts anew: a huge one */
	return used < duration ? used : duration;
}
