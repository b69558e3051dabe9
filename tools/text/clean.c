/* SPDX-License-Identifier: Apache-2.0 */
#include "text/clean.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/*
 * C0, DEL and C1; line and paragraph separators; all of Unicode's Default_Ignorable_Code_Point
 * (invisible: zero-width characters, the marks and controls of bidirectional text, tags); and the
 * format characters of annotations, shorthand and hieroglyphs.
 */
static const struct {
	uint32_t first, last;
} unsafe[] = {
	{0x00, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	    {0x34f, 0x34f},
	{0x61c, 0x61c},	    {0x115f, 0x1160},	{0x17b4, 0x17b5},   {0x180b, 0x180f},
	{0x200b, 0x200f},   {0x2028, 0x202e},	{0x2060, 0x206f},   {0x3164, 0x3164},
	{0xfdd0, 0xfdef},   {0xfe00, 0xfe0f},	{0xfeff, 0xfeff},   {0xffa0, 0xffa0},
	{0xfff0, 0xfffb},   {0x13430, 0x1343f}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
	{0xe0000, 0xe0fff},
};

/* A fast path: most text is plain. */
static bool is_plain(uint32_t code)
{
	return code >= 0x20 && code < 0x7f;
}

static bool is_unsafe(uint32_t code)
{
	size_t i = 0;

	if (is_plain(code))
		return false;
	while (i < sizeof(unsafe) / sizeof(*unsafe) && code > unsafe[i].last)
		i++;
	if (i < sizeof(unsafe) / sizeof(*unsafe) && code >= unsafe[i].first)
		return true;
	return (code & 0xfffe) == 0xfffe; /* noncharacters */
}

/*
 * Returns how many bytes the character at `at` has, and sets its number; 0: these bytes are not a
 * character.
 */
static size_t decode(const unsigned char *at, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t size = at[0] < 0x80	       ? 1
		      : (at[0] & 0xe0) == 0xc0 ? 2
		      : (at[0] & 0xf0) == 0xe0 ? 3
		      : (at[0] & 0xf8) == 0xf0 ? 4
					       : 0;

	*code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3fu);
	}
	if (size &&
	    (*code < smallest[size] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000)))
		return 0;
	return size;
}

static size_t escape(uint32_t code, char out[CLEAN_CHARACTER])
{
	static const char names[] = "abtnvfr"; /* from 7 on, as in C */
	const char *format = code < 0x80 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";

	if (code >= 7 && code < 7 + strlen(names))
		return (size_t)snprintf(out, CLEAN_CHARACTER, "\\%c", names[code - 7]);
	return (size_t)snprintf(out, CLEAN_CHARACTER, format, code);
}

size_t clean_character(const char **text, char out[CLEAN_CHARACTER])
{
	const unsigned char *at = (const unsigned char *)*text;
	uint32_t code;
	size_t size;

	out[0] = '\0';
	if (!*at)
		return 0;
	size = decode(at, &code);
	*text += size ? size : 1;
	if (!size)
		return (size_t)snprintf(out, CLEAN_CHARACTER, "\\x%02x", *at);
	if (is_unsafe(code))
		return escape(code, out);
	memcpy(out, at, size);
	out[size] = '\0';
	return size;
}

size_t clean_text(const char *text, char *out, size_t size)
{
	char character[CLEAN_CHARACTER];
	size_t used = 0, length = 1;

	while (length && used + 1 < size) {
		if (is_plain((unsigned char)*text)) {
			out[used++] = *text++;
			continue;
		}
		length = clean_character(&text, character);
		if (used + length >= size)
			break;
		memcpy(out + used, character, length);
		used += length;
	}
	if (size)
		out[used] = '\0';
	return used;
}

bool clean_is_plain(const char *text)
{
	while (is_plain((unsigned char)*text))
		text++;
	return !*text;
}

unsigned clean_columns(const char *text, size_t length)
{
	const char *end = text + length;
	unsigned columns = 0;

	while (text < end && *text) {
		uint32_t code;
		size_t size = decode((const unsigned char *)text, &code);
		int width = is_plain(code) || !size ? 1 : wcwidth((wchar_t)code);

		columns += width < 0 ? 1 : (unsigned)width; /* unknown in this locale */
		text += size ? size : 1;
	}
	return columns;
}

bool clean_is(const char *text)
{
	uint32_t code;

	while (*text) {
		size_t size = decode((const unsigned char *)text, &code);

		if (!size || is_unsafe(code))
			return false;
		text += size;
	}
	return true;
}

char *clean_copy(const char *text)
{
	size_t size = CLEAN_LONGER * strlen(text) + 1;
	char *copy = malloc(size);

	if (copy)
		clean_text(text, copy, size);
	return copy;
}
