/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of numbers for the page: collected, then written as little-endian arrays. */
#ifndef TOOLS_REPORT_COLUMNS_H
#define TOOLS_REPORT_COLUMNS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum column_type {
	COLUMN_COUNT,  /* 0 to UINT32_MAX; written in as few bytes as the largest value needs */
	COLUMN_SIGNED, /* 32 bits */
	COLUMN_REAL,   /* 32-bit float: relative error below 1e-7 */
	COLUMN_EXACT,  /* 64-bit float: whole numbers up to 2^53 */
};

struct column {
	enum column_type type;
	unsigned char *bytes;
	size_t count, room; /* values */
};

/* -1: out of memory. */
int column_add(struct column *column, double value);
/* Writes the values and zeros up to a multiple of 8 bytes; returns their type, "u8", "f32" ..., or
 * NULL: no room. */
const char *column_write(const struct column *column, FILE *out);
void column_free(struct column *column);

#endif
