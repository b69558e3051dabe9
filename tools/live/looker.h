/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A look at one handshake while it hangs: what the kernel says, and, if that is not enough, the
 * stack by name. The result can be stored in the trace.
 */
#ifndef TOOLS_LIVE_LOOKER_H
#define TOOLS_LIVE_LOOKER_H

#include "kernel/kernel.h"
#include "symbols/symbols.h"

/* The symbols of the process of the last look: most looks are at the same process. */
struct looker {
	pid_t pid;
	struct symbols *symbols;
};

/* `at`: now, in ticks of the trace. */
void look_at(struct looker *looker, pid_t pid, const struct tlstall_handshake *h, uint64_t at,
	     struct kernel_view *out);
void looker_free(struct looker *looker);

#endif
