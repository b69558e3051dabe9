/* SPDX-License-Identifier: Apache-2.0 */
/* Where the thread of a handshake is, in words. */
#ifndef TOOLS_LIVE_STACK_H
#define TOOLS_LIVE_STACK_H

#include <stdio.h>

#include "kernel/unwind.h"
#include "symbols/symbols.h"
#include "view/subject.h"

/*
 * "waits in read(), descriptor 5, the handshake's own", when its stack was taken. `own_fd`: the
 * handshake's, -1: not known.
 */
void stack_where(pid_t pid, pid_t tid, int own_fd, const struct unwound *unwound, char *buffer,
		 size_t size);
/* What to say of a stack that was taken after the handshake had gone on; "" if it had not. */
const char *stack_when(const struct subject *subject, const struct unwound *unwound,
		       struct symbols *symbols);
/* The frames, one per line; says if they do not reach the bottom. */
void stack_write(FILE *out, const struct unwound *unwound, struct symbols *symbols,
		 const char *indent);

/*
 * "read < BIO_read < SSL_connect", as the facts want it: innermost first, up to the function
 * by which the program came into OpenSSL; "" where there is none.
 */
void stack_join(const struct unwound *unwound, struct symbols *symbols, char *text, size_t size);

/*
 * Looks at the thread of a handshake and judges anew: some causes show only in
 * the stack. `text` must outlive the subject. -1 with errno: not permitted.
 */
int stack_explain(struct subject *subject, struct symbols *symbols, struct unwound *out,
		  char *text, size_t size);

#endif
