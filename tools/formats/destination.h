/* SPDX-License-Identifier: Apache-2.0 */
/* The destination of a report or an export, and the traces that it is made from. */
#ifndef TOOLS_FORMATS_DESTINATION_H
#define TOOLS_FORMATS_DESTINATION_H

#include <stdio.h>

#include "report/gather.h"
#include "report/inputs.h"

struct destination {
	const char *what; /* "report" or "export" */
	const char *path; /* NULL: standard output */
	FILE *out;
};

/* `path`: NULL or "-" is standard output. Returns the exit status; errors have been reported. */
int destination_open(struct destination *to, const char *path);
/*
 * `result`: 0, or -1 with errno if writing has failed. Returns the exit status; errors have been
 * reported, and an incomplete file removed.
 */
int destination_close(struct destination *to, int result);
/* The same, but keeps an incomplete file. */
int destination_keep(struct destination *to, int result);

/* Finds the traces that a command line names. Returns the exit status; reports errors. */
int find_inputs(struct inputs *inputs, char **arguments, int count);
/* Whether these directories (or NULL) can be followed: one that does not exist yet can. The same. */
int find_directories(char **names);
/*
 * Adds all traces to the report, with a progress bar on a terminal. Reports those that cannot be
 * read, and goes on with the others. Returns the exit status.
 */
int read_inputs(struct report *report, const struct inputs *inputs, const struct report_sink *sink);

#endif
