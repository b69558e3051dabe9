/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Steps from a frame to its caller's, in the running thread: without locks, allocations or
 * descriptors, and, whatever the stack contains, without reading unreadable memory.
 */
#ifndef SHIM_UNWIND_H
#define SHIM_UNWIND_H

#include "cfi.h"
#include "readable.h"

struct unwind {
	uintptr_t ip, sp;
	uint64_t reg[CFI_REGISTERS];
	uint64_t known;	 /* a bit for each register whose value we have */
	uintptr_t place; /* where the ip was read; 0: it was in a register */
	bool exact;	 /* the ip is where the frame was interrupted, not a return address */
	bool fixed;	 /* the previous frame always has the same size: no alloca, no guess */
};

/* Begins at the frame of the caller, into which this is inlined. */
static inline __attribute__((always_inline)) void unwind_begin(struct unwind *u)
{
	uint64_t *reg = u->reg;

#if defined(__x86_64__)
	__asm__ volatile("movq %%rbx, 3*8(%0)\n\t"
			 "movq %%rbp, 6*8(%0)\n\t"
			 "movq %%rsp, 7*8(%0)\n\t"
			 "movq %%r12, 12*8(%0)\n\t"
			 "movq %%r13, 13*8(%0)\n\t"
			 "movq %%r14, 14*8(%0)\n\t"
			 "movq %%r15, 15*8(%0)\n\t"
			 "leaq 1f(%%rip), %%rax\n"
			 "1:\tmovq %%rax, 16*8(%0)"
			 :
			 : "r"(reg)
			 : "rax", "memory");
	u->ip = reg[CFI_RETURN];
	u->known = 1 << 3 | 1 << CFI_FP | 1 << CFI_SP | 0xf << 12;
#else
	uintptr_t ip;

	__asm__ volatile("stp x19, x20, [%1, #19*8]\n\t"
			 "stp x21, x22, [%1, #21*8]\n\t"
			 "stp x23, x24, [%1, #23*8]\n\t"
			 "stp x25, x26, [%1, #25*8]\n\t"
			 "stp x27, x28, [%1, #27*8]\n\t"
			 "stp x29, x30, [%1, #29*8]\n\t"
			 "mov %0, sp\n\t"
			 "str %0, [%1, #31*8]\n\t"
			 "adr %0, 1f\n"
			 "1:"
			 : "=&r"(ip)
			 : "r"(reg)
			 : "memory");
	u->ip = ip;
	u->known = 0xfff8ull << 16;
#endif
	u->sp = reg[CFI_SP];
	u->place = 0;
	u->exact = true;
	u->fixed = true;
}

/* False: there is no caller, or it cannot be found. */
bool unwind_step(struct unwind *u, struct readable *range);

/* DWARF expressions: `*value` on entry is the initial stack. */
bool expression_run(struct cfi_reader code, const struct unwind *u, struct readable *range,
		    uint64_t *value);

#endif
