/* SPDX-License-Identifier: Apache-2.0 */
/* The handshakes of one process that runs without the shim, judged like all others. */
#ifndef TOOLS_LIVE_LOOKED_H
#define TOOLS_LIVE_LOOKED_H

#include "look/look.h"
#include "view/subject.h"

struct looked {
	struct look look;
	struct trace *trace;
	struct subject **subjects; /* those that stand longest first */
	unsigned count;
};

/*
 * `again_ns`: looks a second time so much later, which tells what moves from what stands;
 * 0: only where nothing else tells. -1 and a sentence that says why not.
 */
int looked_take(pid_t pid, uint64_t again_ns, struct looked *out, char *why, size_t size);
/*
 * The same, after another look, which shows what has made progress since, and how long the rest has
 * not.
 */
int looked_take_later(const struct look *before, struct looked *out, char *why, size_t size);
void looked_free(struct looked *looked);

#endif
