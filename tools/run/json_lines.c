/* SPDX-License-Identifier: Apache-2.0 */
#include "run/json_lines.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * A record is hundreds of small values. One after the other out of one block, which the
 * next line uses anew, they cost a third less than malloc() and free() of each.
 */
#define BLOCK_SIZE (256u << 10)
static struct {
	char *block; /* NULL: no memory, each by malloc() */
	size_t used;
	size_t beside; /* values of this line that had no room in it */
} values;

static char *line;
static size_t line_room;

static void *take(size_t size)
{
	size_t rounded = (size + 15) & ~(size_t)15;
	char *value = values.block + values.used;

	if (!values.block || rounded < size || rounded > BLOCK_SIZE - values.used) {
		values.beside++;
		return malloc(size);
	}
	values.used += rounded;
	return value;
}

static void give(void *value)
{
	if (!values.block || (uintptr_t)value - (uintptr_t)values.block >= BLOCK_SIZE)
		free(value);
}

void json_lines_begin(void)
{
	values.block = malloc(BLOCK_SIZE);
	json_set_alloc_funcs(take, give);
}

static void forget(json_t *record)
{
	/* a walk through all of it, only to find each in the block */
	if (values.beside)
		json_decref(record);
	values.beside = 0;
	values.used = 0;
}

static bool make_room(size_t size)
{
	char *longer = size > line_room ? realloc(line, size) : NULL;

	if (longer) {
		line = longer;
		line_room = size;
	}
	return size <= line_room;
}

/*
 * Not json_dumpf(), a locked fwrite() for each token, nor json_dumps(), which makes its
 * text anew: they are a tenth of all that a busy run costs.
 */
static size_t dump(json_t *record)
{
	size_t size = record ? json_dumpb(record, line, line_room, JSON_COMPACT) : 0;

	if (size <= line_room)
		return size;
	return make_room(2 * size) ? json_dumpb(record, line, line_room, JSON_COMPACT) : 0;
}

void json_lines_put(FILE *out, json_t *record)
{
	size_t size = dump(record);

	if (size) {
		fwrite(line, 1, size, out);
		putc('\n', out);
	}
	forget(record);
}

void json_lines_end(void)
{
	free(line);
	line = NULL;
	line_room = 0;
	json_set_alloc_funcs(malloc, free);
	free(values.block);
	values.block = NULL;
}
