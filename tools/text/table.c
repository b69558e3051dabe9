/* SPDX-License-Identifier: Apache-2.0 */
#include "text/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/clean.h"
#include "text/locale.h"
#include "text/print.h"

void table_open(struct table *table, FILE *out, bool terminal, const struct table_column *columns,
		size_t count)
{
	*table = (struct table){.lines = scols_new_table(), .out = out};
	table->failed = !table->lines;
	if (table->failed)
		return;
	/* libsmartcols would escape the backslashes of cleaned text again */
	scols_table_enable_noencoding(table->lines, 1);
	scols_table_set_stream(table->lines, out);
	scols_table_set_termforce(table->lines,
				  terminal ? SCOLS_TERMFORCE_AUTO : SCOLS_TERMFORCE_NEVER);
	for (size_t i = 0; i < count; i++) {
		int flags = terminal ? columns[i].flags : columns[i].flags & ~SCOLS_FL_TRUNC;

		table->failed |= !scols_table_new_column(table->lines, columns[i].title, 0, flags);
	}
}

void table_line(struct table *table)
{
	table->line = table->failed ? NULL : scols_table_new_line(table->lines, NULL);
	table->failed |= !table->line;
	table->count++;
}

/*
 * libsmartcols loops forever on a character that the locale does not have, and peers choose what is
 * in a cell: without a UTF-8 locale such bytes are escaped.
 */
static char *as_ascii(const char *clean)
{
	char *text = malloc(4 * strlen(clean) + 1), *to = text;

	if (!text)
		return NULL;
	for (; *clean; clean++)
		to += sprintf(to, (unsigned char)*clean < 0x80 ? "%c" : "\\x%02x",
			      (unsigned char)*clean);
	*to = '\0';
	return text;
}

/* As print() would write it, to be freed; NULL: out of memory. */
static char *format_cell(const char *format, va_list arguments)
{
	char *text, *clean;

	if (vasprintf(&text, format, arguments) < 0)
		return NULL;
	clean = clean_copy(text);
	free(text);
	if (!clean || text_is_utf8())
		return clean;
	text = as_ascii(clean);
	free(clean);
	return text;
}

void table_cell(struct table *table, size_t column, const char *format, ...)
{
	va_list arguments;
	char *text;

	if (table->failed)
		return;
	va_start(arguments, format);
	text = format_cell(format, arguments);
	va_end(arguments);
	table->failed = !text || scols_line_refer_data(table->line, column, text);
	if (table->failed)
		free(text);
}

int table_close(struct table *table, const char *title)
{
	bool failed = table->failed;

	if (!failed && table->count) {
		if (title)
			print(table->out, "\n%s\n", title);
		failed = scols_print_table(table->lines) != 0;
	}
	scols_unref_table(table->lines);
	*table = (struct table){0};
	return failed ? -1 : 0;
}
