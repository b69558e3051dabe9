/* SPDX-License-Identifier: Apache-2.0 */
/* Where the thread of a handshake is, in words. */
#ifndef TOOLS_LIVE_STACK_H
#define TOOLS_LIVE_STACK_H

#include <stdio.h>

#include "kernel/unwind.h"
#include "symbols/symbols.h"
#include "view/subject.h"

/* "waits in read(fd 5), its own socket"; always terminated. */
void stack_where(const struct kernel_view *view, const struct unwound *unwound, char *buffer,
		 size_t size);
/* The frames, one a line; says when they do not reach the bottom. */
void stack_write(FILE *out, const struct unwound *unwound, struct symbols *symbols,
		 const char *indent);

/*
 * Looks at the thread of a handshake and judges anew: some causes show only in
 * the stack. `text` must outlive the subject. -1 with errno: may not be seen.
 */
int stack_explain(struct subject *subject, struct symbols *symbols, struct unwound *out,
		  char *text, size_t size);

#endif
