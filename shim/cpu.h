/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPU time of calls. The kernel's answer costs as much as recording ten calls, so
 * it is asked only where the wall clock does not tell: calls that may block, and
 * long ones. What is shorter was on the CPU.
 */
#ifndef SHIM_CPU_H
#define SHIM_CPU_H

#include <stdbool.h>
#include <stdint.h>

void cpu_enter(uint64_t ticks, bool may_block);
/* Nanoseconds that the call from `enter` to `leave`, in ticks, had the CPU. */
uint64_t cpu_used(uint64_t enter, uint64_t leave, bool may_block);

#endif
