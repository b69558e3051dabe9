/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of libsmartcols' tables; the text of each is cleaned (text/clean.h). */
#ifndef TOOLS_TEXT_TABLE_H
#define TOOLS_TEXT_TABLE_H

#include <libsmartcols.h>

/* NULL: out of memory. */
struct libscols_table *table_new(void);
/* Without memory, or without a line, the cell stays empty. */
void table_cell(struct libscols_line *line, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
