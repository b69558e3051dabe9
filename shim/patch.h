/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirects functions to wrappers for all callers, by a jump at each
 * entry: all functions of a list, or none.
 */
#ifndef SHIM_PATCH_H
#define SHIM_PATCH_H

#include <stddef.h>
#include <stdint.h>

#include "entry.h"

struct patch {
	uint8_t *function;
	size_t size;
	const void *wrapper;
	const void *trampoline; /* result: calls the original function */
};

#define PATCH_MAX 40

enum patch_result {
	PATCH_DONE,
	PATCH_NOT_HERE,	 /* not on this architecture */
	PATCH_CODE,	 /* code that is not understood */
	PATCH_PROTECTED, /* the kernel refuses */
	PATCH_THREADS,	 /* another thread may be executing one */
};

/* Functions of one object, which is mapped from start to end and not writable. */
enum patch_result patch_functions(struct patch *list, size_t count, uintptr_t start,
				  uintptr_t end);
/* Makes all but the jumps themselves: `entries`, PATCH_MAX of them, say what is to be written. */
enum patch_result patch_prepare(struct patch *list, size_t count, uintptr_t start, uintptr_t end,
				struct entry *entries);

#endif
