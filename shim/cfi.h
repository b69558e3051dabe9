/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds a frame's caller: DWARF call frame information, from .eh_frame through the search table of
 * .eh_frame_hdr. Bytes in, rules out. Whatever the bytes contain, nothing outside the given range
 * is read; invalid bytes give no rules.
 */
#ifndef SHIM_CFI_H
#define SHIM_CFI_H

#include <stdbool.h>
#include <stdint.h>

#include "cfi_reader.h"

/* DWARF's register numbers; higher ones are not needed. */
#if defined(__x86_64__)
enum { CFI_FP = 6, CFI_SP = 7, CFI_RETURN = 16, CFI_REGISTERS = 17 };
#else
enum { CFI_FP = 29, CFI_LR = 30, CFI_RETURN = 30, CFI_SP = 31, CFI_REGISTERS = 32 };
#endif

enum cfi_where {
	CFI_SAME,	/* as in the frame below */
	CFI_UNDEFINED,	/* lost; for the return address: there is no caller */
	CFI_AT,		/* in memory at CFA + value */
	CFI_IS,		/* CFA + value */
	CFI_IN,		/* in the register `value` */
	CFI_AT_RESULT,	/* in memory where the expression at low + value says */
	CFI_IS_RESULT,	/* what that expression says */
};

struct cfi_rule {
	enum cfi_where where;
	int32_t value;
};

struct cfi_row {
	struct cfi_rule reg[CFI_REGISTERS];
	struct cfi_rule cfa; /* CFI_IN: that register and `offset`; CFI_IS_RESULT */
	int32_t offset;
};

struct cfi_frame {
	struct cfi_row row;
	bool signal; /* made by the kernel for a signal: its caller was interrupted, and made no call */
};

bool cfi_find(const struct cfi_table *table, uintptr_t pc, struct cfi_frame *out);

#endif
