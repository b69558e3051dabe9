/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of one handshake that failed or stalled: the product's face. */
#ifndef TOOLS_VIEW_PARAGRAPH_H
#define TOOLS_VIEW_PARAGRAPH_H

#include <stdbool.h>
#include <stdio.h>

#include "symbols/symbols.h"
#include "view/subject.h"

/*
 * Who, to whom, how long, in which state, retries of which kind, where in the
 * code (`symbols` NULL: not), verdict, evidence, what it may also be, advice.
 */
void paragraph_write(FILE *out, const struct subject *subject, struct symbols *symbols,
		     bool colour);

#endif
