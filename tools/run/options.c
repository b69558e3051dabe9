/* SPDX-License-Identifier: Apache-2.0 */
#include "run/options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/kernel.h"
#include "message.h"
#include "nearest.h"

enum { OPTION_FOR = 256, OPTION_FORCE };

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

/* For getopt: letters of options that have only a long name are accepted, too. */
static void getopt_tables(char *letters, struct option *longs, const char **names)
{
	/*
	 * '+' stops at the first non-option, since the rest is the program's; ':' tells a missing
	 * argument from an unknown option
	 */
	letters += sprintf(letters, "+:");
	for (size_t i = 0; i < OPTIONS; i++) {
		bool value = table[i].argument == required_argument;

		if (table[i].letter < OPTION_FOR)
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

static int set_filter(const struct command *command, struct run_options *options,
		      const char *expression)
{
	char error[128];

	if (!filter_add(&options->filter, expression, error, sizeof(error)))
		return 0;
	return usage_error(command, "-e %s: %s", expression, error);
}

bool parse_duration(const char *text, uint64_t *ns)
{
	char *end;
	double value = strtod(text, &end), unit = 0;

	if (!*end || !strcmp(end, "s"))
		unit = 1e9;
	else if (!strcmp(end, "ms"))
		unit = 1e6;
	else if (!strcmp(end, "min"))
		unit = 60e9;
	*ns = (uint64_t)(value > 0 && value * unit <= 86400e9 ? value * unit : 0);
	return end != text && *ns;
}

static int set_pid(const struct command *command, struct run_options *options, const char *text)
{
	options->pid = kernel_pid(text);
	return options->pid ? 0 : usage_error(command, "'%s' is not a process id", text);
}

static int set_option(const struct command *command, struct run_options *options, int letter)
{
	switch (letter) {
	case 'o':
		options->output = optarg;
		return 0;
	case 'f':
		return format_parse(command, FORMAT_WORDS | FORMAT_RECORDS, optarg,
				    &options->format);
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
	case 'p':
		return set_pid(command, options, optarg);
	case OPTION_FOR:
		if (parse_duration(optarg, &options->for_ns))
			return 0;
		return usage_error(command, "invalid duration '%s' (expected 60s or 500ms, for example)", optarg);
	case OPTION_FORCE:
		options->force = true;
		return 0;
	default: /* -T: as always */
		return 0;
	}
}

/* Takes what follows the options. */
static int take_target(const struct command *command, char **left, bool attach,
		       struct run_options *options)
{
	if (options->pid && *left)
		return usage_error(command, attach ? "give only one process"
						   : "-p and a program cannot be combined");
	if (!options->pid && !*left)
		return usage_error(command, attach ? "no process id given" : "no program given");
	if (options->pid)
		return 0;
	if (!attach && (options->for_ns || options->force))
		return usage_error(command, "--for and --force require -p");
	if (!attach)
		options->program = left;
	else if (left[1])
		return usage_error(command, "give only one process");
	return attach ? set_pid(command, options, *left) : 0;
}

int run_options_parse(const struct command *command, int argc, char **argv, bool attach,
		      struct run_options *options)
{
	char letters[2 * OPTIONS + 3];
	struct option longs[OPTIONS + 1];
	const char *names[OPTIONS + 1];
	int letter, status = 0;

	*options = (struct run_options){.format = format_words()};
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
	if (options->summary && options->format->records)
		return usage_error(command, "-c works with --format text only");
	return take_target(command, argv + optind, attach, options);
}

void run_options_free(struct run_options *options)
{
	filter_free(&options->filter);
}

/* ---- --help ---------------------------------------------------------------- */

/* One option's spelling and description, on two lines. */
#define OPTION(letter, name, argument, usage, help) "  " usage "\n        " help "\n"
const char run_options_help[] =
#include "run/options.def"
	"\n"
	"EXPR is one of: function names separated by commas, each may end in '*';\n"
	"error!=none, error=NAME (such as WANT_READ); pid=N; slow>DURATION (10ms, 1.5s).\n"
	"If -e is given more than once, a call must match all of them.\n"
	"\n"
	"A line is printed when a call returns, with the time of its return. At the end,\n"
	"each handshake that failed, was abandoned, hung, or took longer than a second is\n"
	"explained.\n"
	"\n"
	"Ctrl-C goes to the program; SIGTERM and SIGHUP are passed on. After the program\n"
	"has ended, unfinished handshakes of its children are followed for up to 5 seconds.\n"
	"\n"
	"Exit status: that of PROGRAM; 128+N if signal N killed it; 127 not found; 126 not\n"
	"executable; 2 wrong usage.\n";

const char attach_options_help[] =
#include "run/options.def"
	"\n"
	"First, the handshakes that hang now are explained, as by tlstall look. Then the shim\n"
	"is loaded into the process, and its calls are shown as by tlstall run. tlstall detaches\n"
	"when --for has elapsed, on Ctrl-C, on tlstall detach, or when the process ends. After\n"
	"that, the process no longer calls the shim.\n"
	"\n"
	"-p PID is the same as PID. Exit status: 0; 1 refused or could not detach; 2 wrong\n"
	"usage.\n";
#undef OPTION
