/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of calls. Asking the kernel costs as much as recording ten calls, so it is asked only if
 * the wall clock is not enough: for calls that may block, and for long ones. Shorter calls count as
 * CPU time.
 */
#ifndef SHIM_CPU_H
#define SHIM_CPU_H

#include <stdbool.h>
#include <stdint.h>

void cpu_enter(uint64_t ticks, bool may_block);
/* CPU time in nanoseconds of the call from `enter` to `leave` (ticks). */
uint64_t cpu_used(uint64_t enter, uint64_t leave, bool may_block);

/*
 * CPU time of this thread since the end of one of its calls, a lower bound; reads the clock.
 * False: the clock's value at that time is no longer known.
 */
bool cpu_since(uint64_t leave, uint64_t now, uint64_t *ns);
/* The last value read from the clock: costs nothing. */
uint64_t cpu_last(void);

/* ---- mode `watch`: the clock is not read before something was late ---- */

/* At the first handshake of the process: a value to count from. */
void cpu_begin(void);
/* Something was late: this thread's next calls are timed too. */
void cpu_watch(void);
bool cpu_is_watched(void);
extern __thread unsigned cpu_watched __attribute__((visibility("hidden"))); /* so many calls */
/* CPU time of a call that has just returned; false: the last reading is too old. */
bool cpu_between(uint64_t enter, uint64_t leave, uint64_t *ns);
/* A length in ticks that ended just now, in nanoseconds. */
uint64_t cpu_nanoseconds(uint64_t ticks, uint64_t now);

#endif
