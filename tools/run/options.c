/* SPDX-License-Identifier: Apache-2.0 */
#include "run/options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "nearest.h"

static const struct {
	int letter;
	const char *name;
	int argument;
} table[] = {
#define OPTION(letter, name, argument, usage, help) {letter, name, argument},
#include "run/options.def"
#undef OPTION
};
#define OPTIONS (sizeof(table) / sizeof(*table))

/* For getopt: letters that have a long name alone are accepted too. */
static void getopt_tables(char *letters, struct option *longs, const char **names)
{
	/* stop at the first non-option: the rest is the program's; tell apart ':' and '?' */
	letters += sprintf(letters, "+:");
	for (size_t i = 0; i < OPTIONS; i++) {
		bool value = table[i].argument == required_argument;

		letters += sprintf(letters, "%c%s", table[i].letter, value ? ":" : "");
		if (!table[i].name)
			continue;
		*longs++ = (struct option){table[i].name, table[i].argument, NULL, table[i].letter};
		*names++ = table[i].name;
	}
	*longs = (struct option){0};
	*names = NULL;
}

static int unknown_option(const struct command *command, char **argv, const char *const *names)
{
	const char *text = argv[optind - 1], *near;
	char name[64];

	if (strncmp(text, "--", 2))
		return usage_error(command, "unknown option '-%c'", optopt ? optopt : text[1]);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(text + 2, "="), text + 2);
	near = nearest(name, names);
	if (near)
		return usage_error(command, "unknown option '%s' (did you mean '--%s'?)", text,
				   near);
	return usage_error(command, "unknown option '%s'", text);
}

static int set_format(const struct command *command, struct run_options *options,
		      const char *format)
{
	options->jsonl = !strcmp(format, "jsonl");
	if (options->jsonl || !strcmp(format, "text"))
		return 0;
	return usage_error(command, "unknown format '%s' (text or jsonl)", format);
}

static int set_filter(const struct command *command, struct run_options *options,
		      const char *expression)
{
	char error[128];

	if (!filter_add(&options->filter, expression, error, sizeof(error)))
		return 0;
	return usage_error(command, "-e %s: %s", expression, error);
}

static int set_option(const struct command *command, struct run_options *options, int letter)
{
	switch (letter) {
	case 'o':
		options->output = optarg;
		return 0;
	case 'f':
		return set_format(command, options, optarg);
	case 'c':
		options->summary = true;
		return 0;
	case 'k':
		options->stacks = true;
		return 0;
	case 'd':
		options->directory = optarg;
		return 0;
	case 'e':
		return set_filter(command, options, optarg);
	case 'q':
		options->quiet = true;
		return 0;
	case 't':
		options->style.time = options->t++ ? LINE_TIME_MICROSECONDS : LINE_TIME_SECONDS;
		return 0;
	case 'r':
		options->style.time = LINE_TIME_RELATIVE;
		return 0;
	default:
		options->style.all_durations = true;
		return 0;
	}
}

int run_options_parse(const struct command *command, int argc, char **argv,
		      struct run_options *options)
{
	char letters[2 * OPTIONS + 3];
	struct option longs[OPTIONS + 1];
	const char *names[OPTIONS + 1];
	int letter, status = 0;

	memset(options, 0, sizeof(*options));
	getopt_tables(letters, longs, names);
	opterr = 0;
	optind = 0;
	while (!status && (letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == 'h')
			return command_help(command);
		if (letter == ':')
			status = usage_error(command, "%s needs a value", argv[optind - 1]);
		else if (letter == '?')
			status = unknown_option(command, argv, names);
		else
			status = set_option(command, options, letter);
	}
	if (status)
		return status;
	if (!argv[optind])
		return usage_error(command, "no PROGRAM is given");
	if (options->summary && options->jsonl)
		return usage_error(command, "-c is for --format text (count the JSON records)");
	options->program = argv + optind;
	return 0;
}

void run_options_free(struct run_options *options)
{
	filter_free(&options->filter);
}

/* ---- --help ---------------------------------------------------------------- */

/* How an option is written, and what it does, in two columns. */
#define OPTION(letter, name, argument, usage, help) "  " usage "\n        " help "\n"
const char run_options_help[] =
#include "run/options.def"
	"\n"
	"EXPR is one of: function names with commas between, which may end in '*';\n"
	"error!=none, error=NAME (such as WANT_READ); pid=N; slow>DURATION (10ms, 1.5s).\n"
	"Given more than once, a call has to fit all of them.\n"
	"\n"
	"A line is printed when the call returns, with the time of its return. At the end\n"
	"each handshake that failed, was given up, hangs or took a second is explained.\n"
	"\n"
	"Ctrl-C goes to the program; SIGTERM and SIGHUP are handed on. When the program\n"
	"has ended, handshakes of its children may go on for 5 seconds.\n"
	"\n"
	"Exit status: that of PROGRAM, 128+N when signal N killed it, 127 not found, 126\n"
	"not executable, 2 wrong usage.\n";
#undef OPTION
