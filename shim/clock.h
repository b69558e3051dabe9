/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest clock that is right: the CPU's counter where the kernel itself
 * keeps time by it, else CLOCK_MONOTONIC. Readers turn ticks into time with
 * the pairs that the header carries.
 */
#ifndef SHIM_CLOCK_H
#define SHIM_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "tlstall/trace.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

extern uint32_t clock_source; /* enum tlstall_clock_source */
extern uint32_t clock_rough_per_us;

/* Decides clock_source; reads two small files of sysfs on x86. */
void clock_choose(void);

struct tlstall_clock_pair clock_pair(void);

/* Nanoseconds of CPU time of the calling thread. */
uint64_t clock_cpu_ns(void);

static inline uint64_t clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t clock_ticks(void)
{
#if defined(__x86_64__)
	if (__builtin_expect(clock_source == TLSTALL_CLOCK_TSC, 1))
		return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#endif
	return clock_monotonic_ns();
}

/* A rough length, right within a factor of four on any machine: for thresholds. */
static inline uint64_t clock_rough_ticks(uint64_t microseconds)
{
	return microseconds * clock_rough_per_us;
}

#endif
