/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest correct clock: the CPU's counter if the kernel itself keeps time by it, otherwise
 * CLOCK_MONOTONIC. Readers convert ticks with the clock pairs in the header.
 */
#ifndef SHIM_CLOCK_H
#define SHIM_CLOCK_H

#include <stdint.h>
#include <string.h>
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

/* Not inline, so that callers using the CPU's counter need no stack for it. */
uint64_t clock_monotonic_ns(void);
/* Since the epoch. */
uint64_t clock_realtime_ns(void);

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

/*
 * Ticks as a float, computed with integers only: floating-point rounding would set FE_INEXACT,
 * which the program can read, or for which it may have enabled SIGFPE.
 */
static inline void clock_store(float *to, uint64_t ticks)
{
	int shift = ticks ? 63 - __builtin_clzll(ticks) : 0;
	uint32_t mantissa = shift < 24 ? (uint32_t)ticks << (24 - shift) : (uint32_t)(ticks >> (shift - 24));
	uint32_t bits = ticks ? ((uint32_t)(126 + shift) << 23) + ((mantissa + 1) >> 1) : 0;

	memcpy(to, &bits, sizeof(bits));
}

/* A rough duration, correct within a factor of four on any machine: for thresholds. */
static inline uint64_t clock_rough_ticks(uint64_t microseconds)
{
	return microseconds * clock_rough_per_us;
}

#endif
