/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall report: shows what is wrong in traces, and figures of all their handshakes. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "formats/destination.h"
#include "formats/write_report.h"
#include "message.h"

#define DETAILS 5
#define DETAILS_MAX 1000000ul

struct options {
	const struct format *format; /* NULL: the default */
	const struct format *html;   /* for --html */
	const char *output;	     /* NULL: standard output */
	struct format_options of_format;
};

/* ---- command line ------------------------------------------------------------------------ */

static int parse_details(const char *text, unsigned *details)
{
	char *end;
	unsigned long value;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value > DETAILS_MAX)
		return -1;
	*details = (unsigned)value;
	return 0;
}

/* Returns 0 to go on, or the exit status. */
static int set_option(struct options *options, int option, char **argv)
{
	switch (option) {
	case 'H':
		options->html = &format_html;
		options->output = optarg;
		return 0;
	case 'o':
		options->output = optarg;
		return 0;
	case 'f':
		return format_parse(&command_report, FORMAT_WORDS | FORMAT_RECORDS | FORMAT_PAGE,
				    optarg, &options->format);
	case 'n':
		if (parse_details(optarg, &options->of_format.details) == 0)
			return 0;
		return usage_error(&command_report, "invalid number of details '%s' (expected 0 to %lu)",
				   optarg, DETAILS_MAX);
	case ':':
		return usage_error(&command_report, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_report, "unknown option '%s'", argv[optind - 1]);
	}
}

static const struct format *chosen(const struct options *options)
{
	if (options->html)
		return options->html;
	return options->format ? options->format : format_words();
}

static int run_report(int argc, char **argv)
{
	static const struct option longs[] = {
		{"html", required_argument, NULL, 'H'},	  {"format", required_argument, NULL, 'f'},
		{"output", required_argument, NULL, 'o'}, {"details", required_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},	  {0}};
	struct options options = {.of_format.details = DETAILS};
	struct inputs inputs = {0};
	int option, status = 0, read_status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":hn:o:", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_report);
		status = set_option(&options, option, argv);
		if (status)
			return status;
	}
	if (optind == argc)
		return usage_error(&command_report, "no trace given");
	if (options.html && options.format && options.format != options.html)
		return usage_error(&command_report, "--html and --format %s cannot be combined",
				   options.format->name);
	read_status = find_inputs(&inputs, argv + optind, argc - optind);
	if (inputs.count)
		status = format_report(chosen(&options), &options.of_format, &inputs,
				       options.output);
	inputs_free(&inputs);
	return read_status ? read_status : status;
}

const struct command command_report = {
	.name = "report",
	.arguments = "[OPTIONS] TRACE|DIRECTORY...",
	.summary = "diagnose traces and sum them up, as text or as a page",
	.help = "  --format " FORMAT_REPORT_NAMES
		"  text and tables (the default), a JSON object for\n"
		"                            each handshake, or one self-contained page\n"
		"  -o, --output FILE         write to FILE instead of standard output\n"
		"  --html FILE               short for --format html -o FILE\n"
		"  -n, --details N           describe the worst handshake of each of the N\n"
		"                            largest groups (default 5)\n"
		"  -h, --help                print this help\n"
		"\n"
		"A directory stands for all traces in it, '-' for standard input (as FILE: "
		"standard\n"
		"output). Traces of running and killed processes can be read; damaged ones are "
		"read\n"
		"as far as possible.\n"
		"\n"
		"Exit status: 0; 1 if a trace could not be read or the report could not be "
		"written;\n"
		"2 wrong usage.\n",
	.run = run_report,
};
