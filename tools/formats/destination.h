/* SPDX-License-Identifier: Apache-2.0 */
/* The destination of a report or an export, and the traces that it is made from. */
#ifndef TOOLS_FORMATS_DESTINATION_H
#define TOOLS_FORMATS_DESTINATION_H

#include <stdio.h>

#include "report/gather.h"
#include "report/inputs.h"

struct destination {
	const char *what; /* it is: "report", "export" */
	const char *path; /* NULL: standard output */
	FILE *out;
};

/* `path`: NULL or "-" is standard output. The exit status; errors were explained. */
int destination_open(struct destination *to, const char *path);
/*
 * `result`: what came of the writing so far, -1 with errno. The exit status; errors were
 * explained, and no half of a file is left.
 */
int destination_close(struct destination *to, int result);
/* The same, but what was written so far stays. */
int destination_keep(struct destination *to, int result);

/* The traces that a command line names. The exit status; what cannot be found was explained. */
int find_inputs(struct inputs *inputs, char **arguments, int count);
/*
 * Adds all traces to the report, with progress on a terminal. One that cannot be read is
 * explained, and the others are read. The exit status.
 */
int read_inputs(struct report *report, const struct inputs *inputs, const struct report_sink *sink);

#endif
