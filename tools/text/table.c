/* SPDX-License-Identifier: Apache-2.0 */
#include "text/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "text/clean.h"

struct libscols_table *table_new(void)
{
	struct libscols_table *table = scols_new_table();

	/* libsmartcols would escape the backslashes of cleaned text again */
	if (table)
		scols_table_enable_noencoding(table, 1);
	return table;
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
	if (!line || !clean || scols_line_refer_data(line, column, clean))
		free(clean);
}
