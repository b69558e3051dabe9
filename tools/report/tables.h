/* SPDX-License-Identifier: Apache-2.0 */
/* The report as text: what failed or stalled first, then figures, then the worst in detail. */
#ifndef TOOLS_REPORT_TABLES_H
#define TOOLS_REPORT_TABLES_H

#include <stdbool.h>
#include <stdio.h>

#include "report/report.h"

struct text_options {
	bool terminal; /* cut to its width, and the longest tables short */
	bool color;
	unsigned details; /* how many of the worst are told of at length */
};

/* -1 with errno: out of memory; the caller finds write errors of `out`. */
int text_write(const struct report *report, const struct text_options *options, FILE *out);

#endif
