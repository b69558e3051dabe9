/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON Lines: one object per line. */
#include "formats/format.h"

static void *begin(FILE *out)
{
	return out;
}

static void put(void *out, struct json_line *record)
{
	json_line_end(record);
	if (record->failed)
		return;
	fwrite(record->text, 1, record->length, out);
	putc('\n', out);
}

static void end(void *out)
{
	(void)out;
}

const struct format format_jsonl = {
	.name = "jsonl",
	.kind = FORMAT_RECORDS,
	.records = &(const struct format_records){.begin = begin, .put = put, .end = end},
};
