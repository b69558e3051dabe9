/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes that were in flight before the shim was attached. Those whose next call it sees are in
 * the trace; for the others, another look at the end shows what became of them.
 */
#ifndef TOOLS_RUN_ADOPTED_H
#define TOOLS_RUN_ADOPTED_H

#include "attach/attach.h"
#include "live/looked.h"
#include "run/follow.h"

struct adopted {
	struct looked first, last;
	bool has_first, has_last; /* looks that could be taken */
	unsigned ended;		  /* from the first look: those that have ended without a recorded
				     call */
};

/* -1 and a sentence. */
int adopted_look(struct adopted *adopted, pid_t pid, char *why, size_t size);
/* For the shim, which asks each object again at its next call. */
void adopted_list(const struct adopted *adopted, struct attach *attach);
/* Before the shim steps back: `last` has those of which it saw no call. */
void adopted_look_again(struct adopted *adopted, const struct follow *follow);
void adopted_free(struct adopted *adopted);

#endif
