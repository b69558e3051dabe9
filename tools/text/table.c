/* SPDX-License-Identifier: Apache-2.0 */
#include "text/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/clean.h"
#include "text/locale.h"

struct libscols_table *table_new(void)
{
	struct libscols_table *table = scols_new_table();

	/* libsmartcols would escape the backslashes of cleaned text again */
	if (table)
		scols_table_enable_noencoding(table, 1);
	return table;
}

/*
 * libsmartcols loops forever on a character that the locale does not have, and peers choose what is in
 * a cell: without a UTF-8 locale such bytes are escaped.
 */
static char *as_ascii(const char *clean)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	for (; out && *clean; clean++)
		fprintf(out, (unsigned char)*clean < 0x80 ? "%c" : "\\x%02x", (unsigned char)*clean);
	if (out)
		fclose(out);
	return text;
}

void table_cell(struct libscols_line *line, size_t column, const char *format, ...)
{
	va_list arguments;
	char *text, *clean = NULL;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		text = NULL;
	va_end(arguments);
	if (text)
		clean = clean_copy(text);
	free(text);
	if (clean && !text_is_utf8()) {
		text = as_ascii(clean);
		free(clean);
		clean = text;
	}
	if (!line || !clean || scols_line_refer_data(line, column, clean))
		free(clean);
}
