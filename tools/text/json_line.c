/* SPDX-License-Identifier: Apache-2.0 */
#include "text/json_line.h"

#include <stdlib.h>
#include <string.h>

#include "text/clean.h"

#define DIGITS 20 /* of UINT64_MAX */

static bool reserve(struct json_line *line, size_t more)
{
	size_t room = line->room ? line->room : 1024;
	char *text;

	if (line->failed)
		return false;
	while (room - line->length < more)
		room *= 2;
	if (room == line->room)
		return true;
	text = realloc(line->text, room);
	line->failed = !text;
	if (text) {
		line->text = text;
		line->room = room;
	}
	return text;
}

static inline bool has_room(struct json_line *line, size_t more)
{
	return __builtin_expect(line->room - line->length >= more, 1) || reserve(line, more);
}

/* Inline, as most of what is put is one or two characters long. */
static inline void put(struct json_line *line, const char *bytes, size_t size)
{
	if (!has_room(line, size))
		return;
	memcpy(line->text + line->length, bytes, size);
	line->length += size;
}

static bool is_first(const struct json_line *line)
{
	char last = line->length ? line->text[line->length - 1] : '{';

	return last == '{' || last == '[';
}

static void put_key(struct json_line *line, const char *key)
{
	size_t size = key ? strlen(key) : 0;
	char *at;

	if (!has_room(line, size + 4))
		return;
	at = line->text + line->length;
	if (!is_first(line))
		*at++ = ',';
	if (key) {
		*at++ = '"';
		memcpy(at, key, size);
		at += size;
		*at++ = '"';
		*at++ = ':';
	}
	line->length = (size_t)(at - line->text);
}

/* Printable ASCII that JSON does not escape: most texts are nothing else. */
static size_t length_unescaped(const char *text)
{
	size_t length = 0;

	while (text[length] >= ' ' && text[length] < 0x7f && text[length] != '"' &&
	       text[length] != '\\')
		length++;
	return length;
}

/* Clean text may still contain characters that JSON escapes. */
static void put_escaped(struct json_line *line, const char *text)
{
	while (*text) {
		size_t plain = strcspn(text, "\"\\");

		put(line, text, plain);
		text += plain;
		if (*text) {
			put(line, "\\", 1);
			put(line, text++, 1);
		}
	}
}

void json_line_begin(struct json_line *line)
{
	line->length = 0;
	line->arrays = 1;
	line->failed = false;
	put(line, "{", 1);
}

void json_line_end(struct json_line *line)
{
	while (line->arrays > 1)
		member_end(line);
	put(line, "}", 1);
}

void json_line_break(struct json_line *line)
{
	put(line, "\n", 1);
}

void json_line_free(struct json_line *line)
{
	free(line->text);
	*line = (struct json_line){0};
}

void member_text(struct json_line *line, const char *key, const char *text)
{
	size_t as_it_is = text ? length_unescaped(text) : 0;
	char *cleaned = NULL;

	put_key(line, key);
	put(line, "\"", 1);
	if (text && !text[as_it_is]) {
		put(line, text, as_it_is);
	} else if (text) {
		cleaned = clean_copy(text);
		line->failed |= !cleaned;
		put_escaped(line, cleaned ? cleaned : "");
	}
	put(line, "\"", 1);
	free(cleaned);
}

static const char two_digits[] = "00010203040506070809101112131415161718192021222324"
				 "25262728293031323334353637383940414243444546474849"
				 "50515253545556575859606162636465666768697071727374"
				 "75767778798081828384858687888990919293949596979899";

static void put_digits(struct json_line *line, const char *key, uint64_t number, bool negative)
{
	char digits[DIGITS + 1];
	size_t at = sizeof(digits);

	while (number >= 100) {
		at -= 2;
		memcpy(digits + at, two_digits + 2 * (number % 100), 2);
		number /= 100;
	}
	digits[--at] = (char)('0' + number % 10);
	if (number >= 10)
		digits[--at] = (char)('0' + number / 10);
	if (negative)
		digits[--at] = '-';
	put_key(line, key);
	put(line, digits + at, sizeof(digits) - at);
}

void member_number(struct json_line *line, const char *key, uint64_t number)
{
	put_digits(line, key, number, false);
}

void member_signed(struct json_line *line, const char *key, int64_t number)
{
	put_digits(line, key, number < 0 ? 0 - (uint64_t)number : (uint64_t)number, number < 0);
}

void member_flag(struct json_line *line, const char *key, bool flag)
{
	put_key(line, key);
	put(line, flag ? "true" : "false", flag ? 4 : 5);
}

void member_object(struct json_line *line, const char *key)
{
	put_key(line, key);
	put(line, "{", 1);
	line->arrays <<= 1;
}

void member_array(struct json_line *line, const char *key)
{
	put_key(line, key);
	put(line, "[", 1);
	line->arrays = line->arrays << 1 | 1;
}

void member_end(struct json_line *line)
{
	put(line, line->arrays & 1 ? "]" : "}", 1);
	line->arrays >>= 1;
}
