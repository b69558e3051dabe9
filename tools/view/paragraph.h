/* SPDX-License-Identifier: Apache-2.0 */
/* The text about one handshake that failed or stalled. */
#ifndef TOOLS_VIEW_PARAGRAPH_H
#define TOOLS_VIEW_PARAGRAPH_H

#include <stdbool.h>
#include <stdio.h>

#include "symbols/symbols.h"
#include "view/subject.h"

/*
 * Who, to whom, how long, in which state, which retries, where in the code (not if `symbols` is
 * NULL), verdict, evidence, alternatives, advice.
 */
void paragraph_write(FILE *out, const struct subject *subject, struct symbols *symbols,
		     bool color);

#endif
