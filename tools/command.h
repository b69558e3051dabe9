/* SPDX-License-Identifier: Apache-2.0 */
/* A subcommand: one file cmd_NAME.c with one const entry, listed in commands.def. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

struct command {
	const char *name;
	const char *arguments; /* the rest of the usage line: "[OPTIONS] [--] PROGRAM [ARG...]" */
	const char *summary;   /* one line for `tlstall --help` */
	const char *help;      /* the body of `tlstall NAME --help`: options, one a line */
	/* argv[0] is the subcommand's name; returns the exit status */
	int (*run)(int argc, char **argv);
};

#define COMMAND(name) extern const struct command command_##name;
#include "commands.def"
#undef COMMAND

#endif
