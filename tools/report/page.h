/* SPDX-License-Identifier: Apache-2.0 */
/* The report as one self-contained page: data for the viewer of tools/web, see web/data.js. */
#ifndef TOOLS_REPORT_PAGE_H
#define TOOLS_REPORT_PAGE_H

#include <stdio.h>

#include "report/gather.h"
#include "report/report.h"

struct page;

/* Every handshake of the report must pass its sink. NULL: out of memory. */
struct page *page_new(struct report *report);
void page_free(struct page *page);
struct report_sink page_sink(struct page *page);

/* -1 with errno; the caller finds write errors of `out`. */
int page_write(struct page *page, FILE *out);

#endif
