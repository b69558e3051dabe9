/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks up this thread's stack, remembered by where each return address lay: a program
 * comes to its handshakes by few ways, and one that was walked before is known by its
 * words, at a fraction of the cost. libunwind's own memory of them, 256 KiB for each
 * thread, is then never made. On x86-64 alone, where a return address lies next to the
 * frame that it leads out of.
 */
#ifndef SHIM_WALK_H
#define SHIM_WALK_H

#include "elf.h"
#include "tlstall/trace.h"

#define WALK_FRAMES (TLSTALL_STACK_FRAMES + 8) /* with those of the shim itself */

struct walk {
	int count;
	void *frames[WALK_FRAMES];     /* return addresses, innermost first */
	uintptr_t places[WALK_FRAMES]; /* where they lie on the stack */
	bool plain;		       /* all of them do: no signal's frame is among them */
};

/* Takes what it needs of libunwind; false: it has to be asked for whole stacks. */
bool walk_load(const struct elf_object *libunwind);
/* Step by step, by libunwind. */
void walk_take(struct walk *walk);

/* `base`: an address in a frame of ours that all later walks begin above. */
uint32_t walk_known(uintptr_t base); /* the stack's id, 0: not known */
/* False when there is no room for more: too many ways, or walks that cannot be remembered. */
bool walk_remember(uintptr_t base, const struct walk *walk, int skip, uint32_t id);

#endif
