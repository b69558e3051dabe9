/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the call frame instructions of a function. */
#ifndef SHIM_CFI_RUN_H
#define SHIM_CFI_RUN_H

#include "cfi.h"

struct cfi_entries {
	struct cfi_reader initial, code; /* instructions of the CIE and the FDE */
	uintptr_t begin;		 /* of the function */
	uint64_t code_align;
	int64_t data_align;
	uint8_t encoding;
	bool augmented, signal;
};

/* Finds the rules that hold at pc. Keeps its large state in a frame of its own. */
bool cfi_run(const struct cfi_table *table, const struct cfi_entries *entries, uintptr_t pc,
	     struct cfi_frame *out);

#endif
