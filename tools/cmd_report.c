/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall report: what is wrong in the traces, and figures of all their handshakes. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "command.h"
#include "report/gather.h"
#include "report/inputs.h"
#include "report/page.h"
#include "report/text.h"
#include "view/record.h"

#define DETAILS 5
#define DETAILS_MAX 1000000ul

struct options {
	const char *html;
	bool json;
	unsigned details;
};

/* ---- reading ----------------------------------------------------------------------- */

static int add_inputs(struct inputs *inputs, char **arguments, int count)
{
	int status = 0;

	for (int i = 0; i < count; i++) {
		if (inputs_add(inputs, arguments[i]) == 0)
			continue;
		status = EXIT_FAILURE;
		if (errno == ENODATA)
			complain("there is no trace in %s (tlstall run -d %s -- PROGRAM makes one)",
				 arguments[i], arguments[i]);
		else
			complain("%s: %s", arguments[i], strerror(errno));
	}
	return status;
}

/* Reads them all, the bad ones too: one must not hide the others. */
static int gather(struct report *report, const struct inputs *inputs,
		  const struct report_sink *sink)
{
	struct progress progress;
	char message[GATHER_MESSAGE];
	int status = 0;

	progress_start(&progress, inputs->count);
	for (size_t i = 0; i < inputs->count; i++) {
		const struct input *input = &inputs->list[i];

		progress.file = i;
		if (input->failed) {
			report_note(report, "%s: this process ran untraced (%s)", input->label,
				    input->failed);
			continue;
		}
		if (gather_trace(report, input->path, input->label, sink, &progress, message) == 0)
			continue;
		progress_wipe(&progress);
		status = fail("%s: %s", input->label, message);
	}
	progress_wipe(&progress);
	return status;
}

static int check_stdout(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return 0;
	return fail("writing the report failed: %s", strerror(errno));
}

/* ---- text ---------------------------------------------------------------------------- */

static bool colour_wanted(void)
{
	const char *no_colour = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && !(no_colour && *no_colour);
}

static int report_text(const struct inputs *inputs, const struct options *options)
{
	struct text_options text = {.terminal = isatty(STDOUT_FILENO),
				    .colour = colour_wanted(),
				    .details = options->details};
	struct report report = {0};
	int status = gather(&report, inputs, NULL);

	if (report.source_count || report.notes.count) {
		if (text_write(&report, &text, stdout) < 0)
			status = fail("out of memory");
		status = check_stdout() ? EXIT_FAILURE : status;
	}
	report_free(&report);
	return status;
}

/* ---- JSON Lines ----------------------------------------------------------------------- */

static int put(json_t *record)
{
	int result = record ? json_dumpf(record, stdout, JSON_COMPACT) : -1;

	if (record)
		putchar('\n');
	json_decref(record);
	return result < 0 && !ferror(stdout) ? -1 : 0;
}

static int put_handshake(void *context, const struct gathered *gathered)
{
	(void)context;
	return put(record_handshake(gathered->subject, code_symbols(gathered->codes)));
}

static void put_lost(void *context, uint64_t events)
{
	(void)context;
	put(record_lost(events));
}

static int report_json(const struct inputs *inputs)
{
	const struct report_sink sink = {.handshake = put_handshake, .lost = put_lost};
	struct report report = {0};
	int status = gather(&report, inputs, &sink);

	for (uint32_t i = 1; i < report.notes.count; i++)
		complain("%s", strings_text(&report.notes, i));
	status = check_stdout() ? EXIT_FAILURE : status;
	report_free(&report);
	return status;
}

/* ---- page ------------------------------------------------------------------------------- */

/* No half of a page is left where it was to be; what is no file (a pipe, /dev/full) stays. */
static void discard(const char *path)
{
	struct stat status;

	if (strcmp(path, "-") && lstat(path, &status) == 0 && S_ISREG(status.st_mode))
		unlink(path);
}

static int write_page(struct page *page, const char *path)
{
	bool to_stdout = !strcmp(path, "-");
	FILE *out = to_stdout ? stdout : fopen(path, "w");
	int result;

	if (!out)
		return fail("%s cannot be written: %s", path, strerror(errno));
	result = page_write(page, out);
	if (result == 0 && (fflush(out) != 0 || ferror(out)))
		result = -1;
	if (!to_stdout && fclose(out) != 0)
		result = -1;
	if (result == 0)
		return 0;
	fail("writing the page to %s failed: %s", path, strerror(errno));
	discard(path);
	return EXIT_FAILURE;
}

static int report_page(const struct inputs *inputs, const struct options *options)
{
	struct report report = {0};
	struct page *page = page_new(&report);
	struct report_sink sink;
	int status;

	if (!page)
		return fail("out of memory");
	sink = page_sink(page);
	status = gather(&report, inputs, &sink);
	if (report.source_count || report.notes.count)
		status = write_page(page, options->html) ? EXIT_FAILURE : status;
	page_free(page);
	report_free(&report);
	return status;
}

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

/* 0: go on; else the exit status. */
static int set_option(struct options *options, int option, char **argv)
{
	switch (option) {
	case 'H':
		options->html = optarg;
		return 0;
	case 'f':
		options->json = !strcmp(optarg, "jsonl");
		if (options->json || !strcmp(optarg, "text"))
			return 0;
		return usage_error(&command_report, "unknown format '%s' (text or jsonl)", optarg);
	case 'n':
		if (parse_details(optarg, &options->details) == 0)
			return 0;
		return usage_error(&command_report, "'%s' is no number of details", optarg);
	case ':':
		return usage_error(&command_report, "%s needs a value", argv[optind - 1]);
	default:
		return usage_error(&command_report, "unknown option '%s'", argv[optind - 1]);
	}
}

static int report_inputs(const struct inputs *inputs, const struct options *options)
{
	if (options->html)
		return report_page(inputs, options);
	return options->json ? report_json(inputs) : report_text(inputs, options);
}

static int run_report(int argc, char **argv)
{
	static const struct option longs[] = {{"html", required_argument, NULL, 'H'},
					      {"format", required_argument, NULL, 'f'},
					      {"details", required_argument, NULL, 'n'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct options options = {.details = DETAILS};
	struct inputs inputs = {0};
	int option, status = 0, read_status;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":hn:", longs, NULL)) != -1) {
		if (option == 'h')
			return command_help(&command_report);
		status = set_option(&options, option, argv);
		if (status)
			return status;
	}
	if (optind == argc)
		return usage_error(&command_report, "no trace is named");
	if (options.html && options.json)
		return usage_error(&command_report, "--html and --format jsonl exclude each other");
	read_status = add_inputs(&inputs, argv + optind, argc - optind);
	if (inputs.count)
		status = report_inputs(&inputs, &options);
	inputs_free(&inputs);
	return read_status ? read_status : status;
}

const struct command command_report = {
	.name = "report",
	.arguments = "[OPTIONS] TRACE|DIRECTORY...",
	.summary = "diagnosis and statistics of traces, as text or as a page",
	.help = "  --html FILE          write one self-contained page instead, to look at in a "
		"browser\n"
		"  --format text|jsonl  words and tables (the default), or an object for each "
		"handshake\n"
		"  -n, --details N      tell of the worst handshake of the N largest groups "
		"(default 5)\n"
		"  --help               this text\n"
		"\n"
		"A directory stands for all traces in it, `-` for standard input (or output, as "
		"FILE).\n"
		"Traces of running and of killed processes can be read, damaged ones as far as "
		"they go.\n"
		"\n"
		"Exit status: 0, 1 if a trace could not be read or the report not be written, 2 "
		"wrong usage.\n",
	.run = run_report,
};
