/* SPDX-License-Identifier: Apache-2.0 */
/* Paragraphs of handshakes that went wrong, kept for the end. Many of one cause are counted. */
#ifndef TOOLS_RUN_PARAGRAPHS_H
#define TOOLS_RUN_PARAGRAPHS_H

#include <stdbool.h>
#include <stdio.h>

#include "symbols/symbols.h"
#include "view/subject.h"

struct paragraph;
struct paragraphs {
	struct paragraph *list;
	unsigned count, room;
	unsigned of_cause[CAUSE_COUNT]; /* all, those that are left out too */
	unsigned kept[CAUSE_COUNT];
	bool color;
};

/* Whether there is room for one more of that cause. If not it is counted. */
bool paragraphs_want(struct paragraphs *paragraphs, const struct subject *subject);
void paragraphs_add(struct paragraphs *paragraphs, const struct subject *subject,
		    struct symbols *symbols);
/* In the order in which the handshakes began. */
void paragraphs_print(struct paragraphs *paragraphs, FILE *out);
void paragraphs_free(struct paragraphs *paragraphs);

#endif
