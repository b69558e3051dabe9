/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON Lines: one object per line. */
#include <stdlib.h>

#include "formats/format.h"

struct lines {
	FILE *out;
	bool failed; /* memory ran out: one is missing */
};

static void *begin(FILE *out)
{
	struct lines *lines = calloc(1, sizeof(*lines));

	if (lines)
		lines->out = out;
	return lines;
}

static void put(void *context, struct json_line *record)
{
	struct lines *lines = context;

	json_line_end(record);
	lines->failed |= record->failed;
	if (record->failed)
		return;
	fwrite(record->text, 1, record->length, lines->out);
	putc('\n', lines->out);
}

static int end(void *context)
{
	struct lines *lines = context;
	bool failed = lines->failed;

	free(lines);
	return failed ? -1 : 0;
}

const struct format format_jsonl = {
	.name = "jsonl",
	.kind = FORMAT_RECORDS,
	.records = &(const struct format_records){.begin = begin, .put = put, .end = end},
};
