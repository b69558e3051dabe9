/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cheapest correct clock: the CPU's counter if the kernel itself keeps time by it, otherwise
 * CLOCK_MONOTONIC. Readers convert ticks with the clock pairs in the header.
 */
#ifndef SHIM_CLOCK_H
#define SHIM_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "tlstall/trace.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

extern uint32_t clock_source; /* enum tlstall_clock_source */
/* The CPU's counter is read; otherwise, ticks are computed from CLOCK_MONOTONIC. */
extern bool clock_reads_counter;
extern uint32_t clock_rough_per_us;

/* Before any clock is read: asks whether this thread may read the counter. */
void clock_look(void);
/* Decides clock_source; reads two small files of sysfs on x86. */
void clock_choose(void);
/* From now on, a thread that reads the counter gets SIGSEGV: PR_SET_TSC. */
void clock_leave_counter(void);

struct tlstall_clock_pair clock_pair(void);

/* Nanoseconds of CPU time of the calling thread. */
uint64_t clock_cpu_ns(void);

/* Not inline, so that callers using the CPU's counter need no stack for it. */
uint64_t clock_monotonic_ns(void);
/* Since the epoch. */
uint64_t clock_realtime_ns(void);

uint64_t clock_ticks_otherwise(void);

static inline uint64_t clock_counter(void)
{
	uint64_t ticks = 0;

#if defined(__x86_64__)
	ticks = __rdtsc();
#elif defined(__aarch64__)
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
#endif
	return ticks;
}

static inline uint64_t clock_ticks(void)
{
	bool reads = __atomic_load_n(&clock_reads_counter, __ATOMIC_RELAXED);

	return __builtin_expect(reads, 1) ? clock_counter() : clock_ticks_otherwise();
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
