/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes as comma-separated values (RFC 4180), preceded by a line of names. */
#include <inttypes.h>
#include <string.h>

#include "formats/columns_of.h"
#include "formats/format.h"
#include "text/clean.h"
#include "text/print.h"

/*
 * Spreadsheets take text that begins like this for a formula, and peers choose some names: these
 * get an apostrophe, which means "text follows".
 */
static bool is_formula(const char *text)
{
	return *text && strchr("=+-@", *text);
}

static void put_text(FILE *out, const char *text)
{
	char character[CLEAN_CHARACTER];

	if (!text || !*text)
		return;
	putc('"', out);
	if (is_formula(text))
		putc('\'', out);
	while (clean_character(&text, character)) {
		if (character[0] == '"')
			putc('"', out);
		print_text(out, character);
	}
	putc('"', out);
}

static void put_value(FILE *out, enum export_type type, const struct column_value *value)
{
	if (type == EXPORT_TEXT)
		put_text(out, value->text);
	else if (value->known)
		print(out, "%" PRIu64, value->number);
}

static void *begin(const struct export_target *target)
{
	FILE *out = target->out;

	for (unsigned i = 0; i < COLUMNS; i++)
		print(out, i ? ",%s" : "%s", columns[i].name);
	fputs("\r\n", out);
	return out;
}

static int put(void *context, const struct gathered *gathered, const char *label)
{
	const struct column_value *values = columns_of(gathered->subject, label);
	FILE *out = context;

	for (unsigned i = 0; i < COLUMNS; i++) {
		if (i)
			putc(',', out);
		put_value(out, columns[i].type, &values[i]);
	}
	fputs("\r\n", out);
	return ferror(out) ? -1 : 0;
}

static int end(void *context, bool whole)
{
	(void)context;
	(void)whole;
	return 0;
}

const struct format format_csv = {
	.name = "csv",
	.kind = FORMAT_EXPORT,
	.export = &(const struct format_export){
		.streams = true, .begin = begin, .handshake = put, .end = end},
};
