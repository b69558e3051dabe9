/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a subcommand in this process. */
#ifndef TESTS_FUZZ_RUN_COMMAND_H
#define TESTS_FUZZ_RUN_COMMAND_H

#include "command.h"

/*
 * What the command wrote to standard output: the caller frees it. What it wrote to standard error
 * must be harmless. `words` are its name and arguments, at most 8, and NULL.
 */
char *run_command(const struct command *command, const char *const *words);

#endif
