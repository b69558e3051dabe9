/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "message.h"
#include "text/print.h"

/* Arguments such as file names and reasons come from elsewhere, so print() cleans them. */
static void vcomplain(const char *format, va_list arguments)
{
	char *text;

	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	print(stderr, "tlstall: %s\n", text ? text : "out of memory");
	free(text);
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
	print(stderr, "Usage: tlstall %s %s\nTry `tlstall %s --help`.\n", command->name,
	      command->arguments, command->name);
	return EXIT_USAGE;
}

int command_help(const struct command *command)
{
	print(stdout, "Usage: tlstall %s %s\n\n%s.\n\n", command->name, command->arguments,
	      command->summary);
	print_ours(stdout, command->help);
	return 0;
}
