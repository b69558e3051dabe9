/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks up this thread's stack and remembers where each return address was: a program reaches its
 * handshakes by few paths, and a known path is recognized by its words at a fraction of the cost.
 */
#ifndef SHIM_WALK_H
#define SHIM_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "readable.h"
#include "tlstall/trace.h"

#define WALK_FRAMES (TLSTALL_STACK_FRAMES + 8) /* including the shim's own */

struct walk {
	int count;
	int guessed;		       /* the last frame whose size may differ next time */
	bool plain;		       /* all return addresses are on the stack, one above the other */
	void *frames[WALK_FRAMES];     /* return addresses, innermost first */
	uintptr_t places[WALK_FRAMES]; /* where they lie */
	struct readable range;	       /* what was read */
};

/* Frame by frame; `ask`: the kernel may be asked what is readable. */
void walk_take(struct walk *walk, bool ask);

/* `base`: the frame pointer of the shim's frame whose return address is compared first. */
uint32_t walk_known(uintptr_t base); /* the stack's id, 0: not known */
void walk_remember(uintptr_t base, struct walk *walk, uint32_t id);
/* Other code may lie where that of the known stacks was. */
void walk_forget(void);

#endif
