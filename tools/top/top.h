/* SPDX-License-Identifier: Apache-2.0 */
/* The live screen: a list of handshakes in flight, one of processes, one handshake in detail. */
#ifndef TOOLS_TOP_TOP_H
#define TOOLS_TOP_TOP_H

#include <stdbool.h>
#include <stddef.h>

#include "live/collect.h"
#include "symbols/symbols.h"

enum top_view { TOP_HANDSHAKES, TOP_PROCESSES, TOP_DETAIL };

/* Which handshake, from one refresh to the next. */
struct top_key {
	pid_t pid;
	uint64_t start_ticks, number;
};

struct top_detail {
	struct top_key key;
	char *text;
	unsigned lines, first; /* first: the one at the top of the screen */
	bool ended;	       /* the text is of the last time it was seen */
	struct symbols *symbols;
	pid_t symbols_pid;
};

struct top {
	unsigned interval_ms;
	unsigned sort; /* index in live_fields */
	bool reverse, paused, quit;
	bool typing; /* the filter is being typed */
	char filter[64];
	enum top_view view;

	struct live live;
	struct subject **shown; /* filtered and sorted */
	unsigned shown_count;
	struct top_key selected;
	unsigned cursor, first; /* selected row, row at the top of the screen */
	unsigned first_process; /* at the top of the screen */
	struct top_detail detail;
};

/* Runs until q; returns the exit status. */
int top_run(struct top *top);

/* rows.c: what is shown, in which order */
int top_refresh(struct top *top);
void top_arrange(struct top *top); /* after another filter or order */
void top_go(struct top *top, int rows); /* moves the cursor, or scrolls what is shown */
void top_open(struct top *top); /* the selected one in detail */
void top_free(struct top *top);

/* detail_text.c; `subject` NULL: it has ended */
void top_detail_update(struct top_detail *detail, struct subject *subject);
void top_detail_free(struct top_detail *detail);

/* draw.c */
void top_draw(struct top *top);
unsigned top_page(void); /* rows that fit */

/* keys.c: one key as curses gives it */
void top_key(struct top *top, int key);

#endif
