/* SPDX-License-Identifier: Apache-2.0 */
/* What the page is made of, between page.c and page_data.c. */
#ifndef TOOLS_REPORT_PAGE_DATA_H
#define TOOLS_REPORT_PAGE_DATA_H

#include <jansson.h>

#include "report/columns.h"
#include "report/page.h"

enum page_column {
#define COLUMN(name, type) PAGE_##name,
#include "report/page_columns.def"
	PAGE_COLUMNS
};

#define PAGE_CALL_PARTS 6     /* at, dur, fn, ret, err, state */
#define PAGE_NOT_RETURNED 255 /* as the error of a call: it is in flight */
#define PAGE_STATE_PARTS 2    /* id, at */

struct page {
	struct report *report;
	struct column columns[PAGE_COLUMNS];
	struct column call_offset, calls[PAGE_CALL_PARTS];
	struct column state_offset, states[PAGE_STATE_PARTS];
	struct strings names;	 /* of functions and states */
	struct strings versions; /* of the protocol */
	/* JSON of the rows that have any, one after the other */
	struct column evidence_row, evidence_at;
	FILE *evidence;
	char *evidence_text;
	size_t evidence_size;
	bool failed;   /* no memory for a part of it */
	bool complete; /* all of it was written */
};

/* To a list of the page; without memory the page has failed. */
void page_append(struct page *page, json_t *list, json_t *value);
/* Verdicts and alerts of a row. -1: out of memory. */
int page_add_evidence(struct page *page, size_t row, const struct gathered *gathered);

#endif
