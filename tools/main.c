/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the subcommand in its table and hands over. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "nearest.h"

static const struct command *const commands[] = {
#define COMMAND(name) &command_##name,
#include "commands.def"
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void vcomplain(const char *format, va_list arguments)
{
	fputs("tlstall: ", stderr);
	vfprintf(stderr, format, arguments);
	fputc('\n', stderr);
}

void complain(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vcomplain(format, arguments);
	va_end(arguments);
}

int fail(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vcomplain(format, arguments);
	va_end(arguments);
	return EXIT_FAILURE;
}

int usage_error(const struct command *command, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vcomplain(format, arguments);
	va_end(arguments);
	fprintf(stderr, "Usage: tlstall %s %s\nTry `tlstall %s --help`.\n", command->name,
		command->arguments, command->name);
	return EXIT_USAGE;
}

int command_help(const struct command *command)
{
	printf("Usage: tlstall %s %s\n\n%s.\n\n%s", command->name, command->arguments,
	       command->summary, command->help);
	return 0;
}

static void overview(FILE *out)
{
	fputs("Usage: tlstall COMMAND [ARGUMENTS]\n\n"
	      "Tells why a TLS handshake hangs, in a program that you cannot change.\n\n", out);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
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
		complain("there is no command '%s' (did you mean '%s'?)", name, near);
	else
		complain("there is no command '%s' (see tlstall --help)", name);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		overview(stderr);
		return EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		overview(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("tlstall " TLSTALL_VERSION);
		return 0;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		if (!strcmp(commands[i]->name, argv[1]))
			return commands[i]->run(argc - 1, argv + 1);
	}
	return unknown(argv[1]);
}
