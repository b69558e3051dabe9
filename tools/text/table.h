/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of text, by libsmartcols; the text of each cell is cleaned (text/clean.h). */
#ifndef TOOLS_TEXT_TABLE_H
#define TOOLS_TEXT_TABLE_H

#include <libsmartcols.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
	const char *title;
	int flags; /* SCOLS_FL_* */
};

struct table {
	struct libscols_table *lines;
	struct libscols_line *line; /* the last one */
	FILE *out;
	size_t count; /* of lines */
	bool failed;  /* memory ran out: something is missing in it */
};

/* `terminal`: as wide as that at most, for which columns with SCOLS_FL_TRUNC are cut. */
void table_open(struct table *table, FILE *out, bool terminal, const struct table_column *columns,
		size_t count);
void table_line(struct table *table);
/* Of the last line. */
void table_cell(struct table *table, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Prints it after `title` (NULL: none) if it has lines. -1: out of memory, perhaps with a part
 * printed. */
int table_close(struct table *table, const char *title);

#endif
