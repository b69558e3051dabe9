/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs report or export, in one of the formats that write to a file, on a trace of arbitrary bytes. What
 * they write must be safe to print, and valid JSON where it should be.
 */
#include "harmless.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "run_command.h"
#include "tlstall/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum kind { TEXT, TABLE, PAGE, JSON, JSON_LINES };

static char directory[256], trace[320], database[320];

static void remove_all(void)
{
	unlink(trace);
	unlink(database);
	rmdir(directory);
}

static void start(void)
{
	const char *place = getenv("TMPDIR");

	snprintf(directory, sizeof(directory), "%s/fuzz-XXXXXX", place ? place : "/tmp");
	if (!mkdtemp(directory))
		abort();
	snprintf(trace, sizeof(trace), "%s/1.tlstall", directory);
	snprintf(database, sizeof(database), "%s/db", directory);
	atexit(remove_all);
}

static void write_trace(const uint8_t *data, size_t size)
{
	FILE *out = fopen(trace, "wbe");

	if (!out || fwrite(data, 1, size, out) != size || fclose(out))
		abort();
}

static void need_json(const char *text)
{
	json_error_t error;
	/* the writer's integers have 64 bits, those of this reader 63 */
	json_t *value = json_loads(text, JSON_DECODE_INT_AS_REAL, &error);

	if (!value) {
		dprintf(STDERR_FILENO, "%s: %s\n", error.text, text);
		abort();
	}
	json_decref(value);
}

/* Page: styles and scripts are indented with tabs; table: lines end with CRLF, as in RFC 4180. */
static void need_clean(char *text, enum kind kind)
{
	for (char *at = text; *at; at++)
		if ((kind == PAGE && *at == '\t') || (kind == TABLE && *at == '\r' && at[1] == '\n'))
			*at = ' ';
	need_harmless(text, true);
}

static void need_kind(char *text, enum kind kind)
{
	char *rest = text, *line;

	need_clean(text, kind);
	if (kind == JSON && *text)
		need_json(text);
	while (kind == JSON_LINES && (line = strsep(&rest, "\n")))
		if (*line)
			need_json(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct {
		const struct command *command;
		const char *words[7];
		enum kind kind;
	} runs[] = {
		{&command_report, {"report", trace}, TEXT},
		{&command_report, {"report", "--format", "jsonl", trace}, JSON_LINES},
		{&command_report, {"report", "--format", "html", trace}, PAGE},
		{&command_export, {"export", "--format", "csv", trace}, TABLE},
		{&command_export, {"export", "--format", "perfetto", trace}, JSON},
		{&command_export, {"export", "--format", "sqlite", "-o", database, trace}, TEXT},
	};
	const size_t count = sizeof(runs) / sizeof(*runs);
	uint64_t hash = 0;
	char *said;

	/* too short to be more than refused; fuzz_trace covers that */
	if (size < sizeof(struct tlstall_header))
		return 0;
	if (!*directory)
		start();
	write_trace(data, size);
	for (size_t i = 0; i < size; i++)
		hash = (hash ^ data[i]) * 1099511628211ull;
	said = run_command(runs[(hash >> 32) % count].command, runs[(hash >> 32) % count].words);
	need_kind(said, runs[(hash >> 32) % count].kind);
	free(said);
	unlink(database);
	return 0;
}
