/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Prepares a patched function entry: a jump to an island, which jumps to the wrapper. The
 * instructions that the jump overwrites are moved to a trampoline, which continues after them.
 * Nothing is written to the function here. One file for each architecture.
 */
#ifndef SHIM_ENTRY_H
#define SHIM_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ENTRY_ROOM 96 /* bytes of island and trampoline */
#define ENTRY_JUMP 8  /* bytes of a jump, at most */

struct entry {
	uint8_t *function;
	size_t size;
	const void *wrapper;
	uint8_t *room; /* ENTRY_ROOM bytes within reach of a jump from the function */
	/* results: */
	uint8_t *at;	     /* where the jump is: after the mark for indirect branches */
	uint8_t jump[ENTRY_JUMP];
	size_t jump_size;
	const void *trampoline; /* calls the original function */
};

/* Whether this architecture is supported. */
bool entry_can(void);
/* False: the code there is not understood, or cannot be moved. */
bool entry_make(struct entry *entry);

#endif
