/* SPDX-License-Identifier: Apache-2.0 */
/* The command line of `tlstall run`. */
#ifndef TOOLS_RUN_OPTIONS_H
#define TOOLS_RUN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "formats/format.h"
#include "run/filter.h"
#include "view/line.h"

struct command;

struct run_options {
	const char *output;    /* NULL: standard error; "-": standard output */
	const char *directory; /* NULL: a private one, removed at the end */
	const struct format *format;
	bool summary, stacks, quiet;
	unsigned t; /* how often -t was given */
	struct line_style style;
	struct filter filter;
	char **program; /* argv of what is to be run */
	pid_t pid;	/* of what is to be attached to instead; 0: none */
	uint64_t for_ns; /* step back after so long; 0: at the end */
	bool force;
};

/*
 * Returns 0, or the exit status after an error was explained; `options` is to
 * be released in either case. --help leaves `program` NULL and `pid` 0, and returns 0.
 * `attach`: what stands behind the options is no program but the id of a process.
 */
int run_options_parse(const struct command *command, int argc, char **argv, bool attach,
		      struct run_options *options);
void run_options_free(struct run_options *options);

/* The help text, made of the same table. */
extern const char run_options_help[], attach_options_help[];

/* "3s", "500ms", "2min", "2": seconds; up to a day. */
bool parse_duration(const char *text, uint64_t *ns);

#endif
