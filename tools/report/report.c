/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, sources, notes. See report.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "report/report.h"
#include "text/clean.h"

struct report_row *report_add(struct report *report)
{
	if (report->count == report->room) {
		size_t room = report->room ? report->room * 2 : 1024;
		struct report_row *rows = realloc(report->rows, room * sizeof(*rows));

		if (!rows)
			return NULL;
		report->rows = rows;
		report->room = room;
	}
	report->rows[report->count] = (struct report_row){0};
	return &report->rows[report->count++];
}

int report_add_source(struct report *report, const char *path, const char *label)
{
	size_t count = report->source_count;
	struct report_source *sources, source = {strdup(path), strdup(label)};
	struct stat st;

	sources = realloc(report->sources, (count + 1) * sizeof(*sources));
	if (sources)
		report->sources = sources;
	if (!sources || !source.path || !source.label) {
		free(source.path);
		free(source.label);
		return -1;
	}
	sources[count] = source;
	/* of a copy of standard input, the original's size counts, if that is a file */
	if ((!strncmp(path, "/proc/self/fd/", 14) && !strcmp(label, "standard input") &&
	     !fstat(STDIN_FILENO, &st) && S_ISREG(st.st_mode)) ||
	    !stat(path, &st))
		report->bytes += (uint64_t)st.st_blocks * 512;
	return (int)report->source_count++;
}

void report_note(struct report *report, const char *format, ...)
{
	char *text, *clean = NULL;
	va_list arguments;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		clean = clean_copy(text);
	strings_id(&report->notes,
		   clean ? clean : "something is missing, and no memory is left to say what");
	free(clean);
	free(text);
}

uint64_t report_span(const struct report *report, uint64_t *last)
{
	uint64_t first = report->count ? UINT64_MAX : 0;

	*last = 0;
	for (size_t i = 0; i < report->count; i++) {
		uint64_t start = report->rows[i].start_ns;

		first = start < first ? start : first;
		*last = start > *last ? start : *last;
	}
	return first;
}

void report_free(struct report *report)
{
	for (size_t i = 0; i < report->source_count; i++) {
		free(report->sources[i].path);
		free(report->sources[i].label);
	}
	free(report->sources);
	free(report->rows);
	strings_free(&report->strings);
	strings_free(&report->hosts);
	strings_free(&report->notes);
	codes_free(&report->codes);
	*report = (struct report){0};
}
