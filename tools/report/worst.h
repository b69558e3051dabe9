/* SPDX-License-Identifier: Apache-2.0 */
/* The worst handshake of each of the largest groups, at length. */
#ifndef TOOLS_REPORT_WORST_H
#define TOOLS_REPORT_WORST_H

#include <stdio.h>

#include "report/figures.h"
#include "report/tables.h"

/* Reads their traces again: rows do not contain everything. -1: out of memory. */
int worst_write(const struct report *report, const struct groups *trouble,
		const struct text_options *options, FILE *out);

#endif
