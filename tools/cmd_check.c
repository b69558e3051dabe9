/* SPDX-License-Identifier: Apache-2.0 */
/* tlstall check: would the TLS of a program or a process be seen, and if not why. */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "command.h"

#define EXIT_SEEN 0
#define EXIT_NOT_SEEN 1
#define EXIT_ERROR 2

static void print_findings(const struct check_findings *findings, const char *(*name)(int))
{
	for (size_t i = 0; i < findings->count; i++) {
		const struct check_finding *finding = &findings->list[i];

		printf("  %s: %s\n", name(finding->kind), finding->text);
		if (finding->file)
			printf("      %s\n", finding->file);
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

static void print_text(const struct check_result *result)
{
	printf("%s: %s\n", result->target, result->seen ? "seen" : "not seen");
	print_findings(&result->reasons, reason_name);
	print_findings(&result->ways, way_name);
	print_findings(&result->notes, note_name);
}

/* Paths need not be UTF-8, JSON must be. */
static json_t *any_string(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);

	if (!copy)
		return string;
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

static void set_string(json_t *object, const char *key, const char *text)
{
	if (text)
		json_object_set_new(object, key, any_string(text));
}

static json_t *findings_json(const struct check_findings *findings, const char *(*name)(int))
{
	json_t *list = json_array();

	for (size_t i = 0; i < findings->count; i++) {
		json_t *finding = json_object();

		set_string(finding, "name", name(findings->list[i].kind));
		set_string(finding, "text", findings->list[i].text);
		set_string(finding, "file", findings->list[i].file);
		json_array_append_new(list, finding);
	}
	return list;
}

static void print_json(const struct check_result *result)
{
	json_t *object = json_object();

	set_string(object, "type", "check");
	set_string(object, "schema", "tlstall/1");
	set_string(object, "target", result->target);
	if (result->pid)
		json_object_set_new(object, "pid", json_integer(result->pid));
	set_string(object, "program", result->program);
	json_object_set_new(object, "seen", json_boolean(result->seen));
	set_string(object, "libssl", result->libssl);
	set_string(object, "trace", result->trace);
	json_object_set_new(object, "ways", findings_json(&result->ways, way_name));
	json_object_set_new(object, "reasons", findings_json(&result->reasons, reason_name));
	json_object_set_new(object, "notes", findings_json(&result->notes, note_name));
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(object);
}

/* All digits are a process; a program of such a name is asked for as ./123. */
static int check_target(const char *target, const struct check_options *options,
			struct check_result *result)
{
	char *end;
	long pid;

	if (!*target || target[strspn(target, "0123456789")])
		return check_program(target, options, result);
	errno = 0;
	pid = strtol(target, &end, 10);
	return check_pid(errno || pid > INT_MAX ? 0 : (pid_t)pid, options, result);
}

static int answer(const char *target, const struct check_options *options, bool json)
{
	struct check_result result;
	int status = EXIT_ERROR;

	if (check_target(target, options, &result) < 0) {
		complain("%s", result.error ? result.error : "out of memory");
	} else {
		json ? print_json(&result) : print_text(&result);
		status = result.seen ? EXIT_SEEN : EXIT_NOT_SEEN;
		if (fflush(stdout) != 0 || ferror(stdout)) {
			complain("writing the answer failed: %s", strerror(errno));
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
	struct check_options options = {0};
	bool json = false;
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
			json = !strcmp(optarg, "jsonl");
			if (!json && strcmp(optarg, "text"))
				return usage_error(&command_check,
						   "unknown format '%s' (text or jsonl)", optarg);
			break;
		case ':':
			return usage_error(&command_check, "%s needs a value", argv[optind - 1]);
		default:
			return usage_error(&command_check, "unknown option '%s'", argv[optind - 1]);
		}
	}
	if (argc - optind != 1)
		return usage_error(&command_check, "exactly one program or process id is needed");
	return answer(argv[optind], &options, json);
}

const struct command command_check = {
	.name = "check",
	.arguments = "[OPTIONS] PROGRAM|PID",
	.summary = "would the TLS of a program be seen, and if not why",
	.help = "  --format text|jsonl  words (the default), or one JSON object\n"
		"  --shim FILE          the shim to check for, instead of this installation's\n"
		"  --help               this text\n"
		"\n"
		"PROGRAM is looked up in PATH, scripts are followed to their interpreter. Only\n"
		"files are read: nothing is run and no process is stopped.\n"
		"\n"
		"Exit status: 0 seen, 1 not seen, 2 error.\n",
	.run = run_check,
};
