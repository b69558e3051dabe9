/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall check: checks whether a program's TLS can be traced, and if not, why. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "command.h"
#include "formats/format.h"
#include "kernel/kernel.h"
#include "message.h"
#include "text/print.h"
#include "view/record.h"

#define EXIT_SEEN 0
#define EXIT_NOT_SEEN 1
#define EXIT_ERROR 2

static void print_findings(const struct check_findings *findings, const char *(*name)(int))
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct check_finding *finding = &findings->list[i];

		print(stdout, "  %s: %s\n", name(finding->kind), finding->text);
		if (finding->file)
			print(stdout, "      %s\n", finding->file);
	}
}

static const char *way_name(int kind)
{
	return check_way_name((enum check_way)kind);
}

static const char *reason_name(int kind)
{
	return check_reason_name((enum check_reason)kind);
}

static const char *note_name(int kind)
{
	return kind ? "" : "note";
}

static void print_words(const struct check_result *result)
{
	print(stdout, "%s: %s\n", result->target, check_verdict(result));
	print_findings(&result->reasons, reason_name);
	print_findings(&result->ways, way_name);
	print_findings(&result->notes, note_name);
}

static void set_string(struct json_line *record, const char *key, const char *text)
{
	if (text)
		member_text(record, key, text);
}

static void set_findings(struct json_line *record, const char *key,
			 const struct check_findings *findings, const char *(*name)(int))
{
	member_array(record, key);
	for (size_t i = 0; i < findings->count; i++) {
		member_object(record, NULL);
		set_string(record, "name", name(findings->list[i].kind));
		set_string(record, "text", findings->list[i].text);
		set_string(record, "file", findings->list[i].file);
		member_end(record);
	}
	member_end(record);
}

static void record_check(struct json_line *record, const struct check_result *result)
{
	record_begin(record, "check");
	set_string(record, "target", result->target);
	if (result->pid)
		member_number(record, "pid", (uint64_t)result->pid);
	set_string(record, "program", result->program);
	member_flag(record, "seen", result->seen);
	if (result->calls)
		member_flag(record, "calls", true);
	set_string(record, "libssl", result->libssl);
	set_string(record, "trace", result->trace);
	set_findings(record, "ways", &result->ways, way_name);
	set_findings(record, "reasons", &result->reasons, reason_name);
	set_findings(record, "notes", &result->notes, note_name);
}

static int print_result(const struct check_result *result, const struct format *format)
{
	struct json_line record = {0};
	void *context;

	if (!format->records) {
		print_words(result);
		return 0;
	}
	context = format->records->begin(stdout);
	if (!context)
		return -1;
	record_check(&record, result);
	format->records->put(context, &record);
	json_line_free(&record);
	return format->records->end(context);
}

/* A name of digits only is a process id; a program with such a name must be given as ./123. */
static bool is_id(const char *target)
{
	return *target && !target[strspn(target, "0123456789")];
}

static int answer(const char *target, const struct check_options *options,
		  const struct format *format)
{
	struct check_result result;
	pid_t pid = is_id(target) ? kernel_pid(target) : 0;
	int status = EXIT_ERROR;

	if (is_id(target) && !pid) {
		complain("no such process: %s", target);
		return status;
	}
	if ((pid ? check_pid(pid, options, &result) : check_program(target, options, &result)) < 0) {
		complain("%s", result.error ? result.error : "out of memory");
	} else {
		status = result.seen ? EXIT_SEEN : EXIT_NOT_SEEN;
		if (print_result(&result, format)) {
			complain("out of memory");
			status = EXIT_ERROR;
		}
		if (fflush(stdout) != 0 || ferror(stdout)) {
			complain("writing the result failed: %s", strerror(errno));
			status = EXIT_ERROR;
		}
	}
	check_result_free(&result);
	return status;
}

static int run_check(int argc, char **argv)
{
	static const struct option longs[] = {{"format", required_argument, NULL, 'f'},
					      {"shim", required_argument, NULL, 's'},
					      {"help", no_argument, NULL, 'h'},
					      {0}};
	struct check_options options = {.needs_shim = true};
	const struct format *format = format_words();
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, "+:h", longs, NULL)) != -1) {
		switch (option) {
		case 'h':
			return command_help(&command_check);
		case 's':
			options.shim = optarg;
			break;
		case 'f':
			if (format_parse(&command_check, FORMAT_WORDS | FORMAT_RECORDS, optarg,
					 &format))
				return EXIT_USAGE;
			break;
		case ':':
			return usage_error(&command_check, "%s needs a value", argv[optind - 1]);
		default:
			return usage_error(&command_check, "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error(&command_check, "give exactly one program or process id");
	return answer(argv[optind], &options, format);
}

const struct command command_check = {
	.name = "check",
	.arguments = "[OPTIONS] PROGRAM|PID",
	.summary = "check whether a program's TLS can be traced, and if not, why",
	.help = "  --format " FORMAT_NAMES "  text (the default), or one JSON object\n"
		"  --shim FILE          check for this shim instead of the installed one\n"
		"  -h, --help           print this help\n"
		"\n"
		"PROGRAM is looked up in PATH; scripts are followed to their interpreter. Nothing "
		"is\n"
		"run and no process is stopped: check only reads files.\n"
		"\n"
		"Exit status: 0 can be traced, 1 cannot, 2 error.\n",
	.run = run_check,
};
