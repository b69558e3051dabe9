/* SPDX-License-Identifier: Apache-2.0 */
/* Messages on standard error: "tlstall: what is wrong (what to do)". */
#ifndef TOOLS_MESSAGE_H
#define TOOLS_MESSAGE_H

struct command;

/* Exit status for wrong usage. */
#define EXIT_USAGE 2

/*
 * One line each; what is unsafe to show in it is escaped, whoever named it. `fail` also returns
 * EXIT_FAILURE, `usage_error` EXIT_USAGE.
 */
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
int fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
int usage_error(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Prints usage, summary and help of a subcommand on stdout; returns 0. */
int command_help(const struct command *command);

#endif
