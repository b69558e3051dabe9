/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the subcommand in its table and runs it. */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "message.h"
#include "nearest.h"
#include "text/locale.h"
#include "text/print.h"

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.def"
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void overview(FILE *out)
{
	fputs("Usage: tlstall COMMAND [ARGUMENTS]\n\n"
	      "Explains why a TLS handshake hangs in a program that you cannot change.\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		print(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
	fputs("\n`tlstall COMMAND --help` explains each; start with `tlstall run -- PROGRAM`.\n", out);
}

static int unknown(const char *name)
{
	const char *names[COMMANDS + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < COMMANDS; i++)
		names[i] = commands[i]->name;
	near = nearest(name, names);
	if (near)
		complain("unknown command '%s' (did you mean '%s'?)", name, near);
	else
		complain("unknown command '%s' (see tlstall --help)", name);
	return EXIT_USAGE;
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	}
	return NULL;
}

static int run(int argc, char **argv)
{
	bool help = !strcmp(argv[1], "help");
	const char *name = help && argc > 2 ? argv[2] : argv[1];
	const struct command *command = find(name);

	if (command)
		return help ? command_help(command) : command->run(argc - 1, argv + 1);
	if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
		overview(stdout);
		return 0;
	}
	if (!strcmp(name, "--version")) {
		puts("tlstall " TLSTALL_VERSION);
		return 0;
	}
	return unknown(name);
}

/* For all commands: what remains to be written, and whether all was. */
static int finish(int status)
{
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	if (status)
		return status;
	return errno ? fail("writing the output failed: %s", strerror(errno))
		     : fail("writing the output failed");
}

int main(int argc, char **argv)
{
	text_locale();
	if (argc < 2) {
		overview(stderr);
		return EXIT_USAGE;
	}
	return finish(run(argc, argv));
}
