/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of numbers. See columns.h. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "report/columns.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the page's arrays are little-endian");

static size_t width_of(enum column_type type)
{
	return type == COLUMN_EXACT ? 8 : 4;
}

static void store(unsigned char *to, enum column_type type, double value)
{
	uint32_t count = value > UINT32_MAX ? UINT32_MAX : value > 0 ? (uint32_t)value : 0;
	/* converted to an integer only if it fits: else C does not say what happens */
	int32_t number = value >= INT32_MIN && value <= INT32_MAX ? (int32_t)value : 0;
	float real = (float)value;

	if (type == COLUMN_COUNT)
		memcpy(to, &count, sizeof(count));
	else if (type == COLUMN_SIGNED)
		memcpy(to, &number, sizeof(number));
	else if (type == COLUMN_REAL)
		memcpy(to, &real, sizeof(real));
	else
		memcpy(to, &value, sizeof(value));
}

int column_add(struct column *column, double value)
{
	size_t width = width_of(column->type);

	if (column->count == column->room) {
		size_t room = column->room ? column->room * 2 : 256;
		unsigned char *bytes = realloc(column->bytes, room * width);

		if (!bytes)
			return -1;
		column->bytes = bytes;
		column->room = room;
	}
	store(column->bytes + column->count++ * width, column->type, value);
	return 0;
}

/* Bytes needed for the largest value in a column of counts. */
static size_t narrow_width(const struct column *column)
{
	uint32_t all = 0, value;

	for (size_t i = 0; i < column->count; i++) {
		memcpy(&value, column->bytes + i * 4, sizeof(value));
		all |= value;
	}
	return all > UINT16_MAX ? 4 : all > UINT8_MAX ? 2 : 1;
}

const char *column_write(const struct column *column, FILE *out)
{
	static const char *const counts[] = {"", "u8", "u16", "", "u32"};
	static const char *const others[] = {"", "i32", "f32", "f64"};
	static const char zeros[8];
	bool is_count = column->type == COLUMN_COUNT;
	size_t width = width_of(column->type);
	size_t kept = is_count ? narrow_width(column) : width, rest = -(column->count * kept) & 7;
	bool whole = true;

	for (size_t i = 0; i < column->count; i++)
		whole &= fwrite(column->bytes + i * width, 1, kept, out) == kept;
	whole &= fwrite(zeros, 1, rest, out) == rest;
	if (!whole)
		return NULL;
	return is_count ? counts[kept] : others[column->type];
}

void column_free(struct column *column)
{
	free(column->bytes);
	*column = (struct column){.type = column->type};
}
