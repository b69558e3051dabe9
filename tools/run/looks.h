/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen of a trace's handshakes from outside, until it is kept with the trace. */
#ifndef TOOLS_RUN_LOOKS_H
#define TOOLS_RUN_LOOKS_H

#include "kernel/kernel.h"
#include "trace/reader.h"

struct looks {
	struct tlstall_look *items;
	uint32_t count;
};

void looks_add(struct looks *looks, struct trace *trace, const struct tlstall_handshake *h,
	       const struct kernel_view *view);
/* Into the trace; `path` NULL: nowhere. They are gone then. */
void looks_keep(struct looks *looks, const char *path);

#endif
