/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `tlstall run`. */
#ifndef TOOLS_RUN_OPTIONS_H
#define TOOLS_RUN_OPTIONS_H

#include <stdbool.h>

#include "command.h"
#include "run/filter.h"
#include "view/line.h"

struct run_options {
	const char *output;    /* NULL: standard error; "-": standard output */
	const char *directory; /* NULL: a private one, removed at the end */
	bool jsonl, summary, stacks, quiet;
	unsigned t; /* how often -t was given */
	struct line_style style;
	struct filter filter;
	char **program; /* argv of what is to be run */
};

/*
 * Returns 0, or the exit status after an error was explained; `options` is to
 * be released in either case. --help leaves `program` NULL and returns 0.
 */
int run_options_parse(const struct command *command, int argc, char **argv,
		      struct run_options *options);
void run_options_free(struct run_options *options);

/* The help text, made of the same table. */
extern const char run_options_help[];

#endif
