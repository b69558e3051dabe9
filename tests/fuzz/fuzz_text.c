/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a name for a terminal, JSON or a page: the output is valid UTF-8
 * without control characters or characters that change the direction of text, and
 * cleaning it again does not change it.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/clean.h"
#include "text/json.h"
#include "text/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEED(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s does not hold\n", #condition); \
			abort(); \
		} \
	} while (0)

/*
 * Length of a character; 0: invalid UTF-8. Follows the standard, independently of the tested code.
 */
static size_t character(const unsigned char *text, uint32_t *value)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = *text < 0x80 ? 1 : *text >> 5 == 6 ? 2 : *text >> 4 == 14 ? 3 : *text >> 3 == 30 ? 4 : 0;

	if (!length)
		return 0;
	*value = length == 1 ? *text : *text & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (text[i] >> 6 != 2)
			return 0;
		*value = *value << 6 | (text[i] & 63);
	}
	return *value < least[length] || *value > 0x10ffff || *value >> 11 == 27 ? 0 : length;
}

static int is_harmful(uint32_t value)
{
	return value < 0x20 || (value >= 0x7f && value < 0xa0) || value == 0x061c || value == 0x200e || value == 0x200f ||
	       (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069) || value == 0xfeff;
}

static void check(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	uint32_t value = 0;

	for (size_t length; *at; at += length) {
		length = character(at, &value);
		NEED(length > 0);
		NEED(!is_harmful(value));
	}
}

static void to_a_terminal(const char *name)
{
	char *clean = clean_copy(name), *again = clean ? clean_copy(clean) : NULL, *printed = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&printed, &size);
	char cut[24];

	NEED(clean && again && out);
	check(clean);
	NEED(clean_is(clean) && !strcmp(clean, again));
	clean_text(name, cut, sizeof(cut));
	check(cut);
	NEED(!strncmp(clean, cut, strlen(cut)));
	print(out, "%s", name);
	fclose(out);
	NEED(!strcmp(printed, clean));
	free(printed);
	free(again);
	free(clean);
}

static void to_a_record(const char *name)
{
	json_t *text = json_text(name);
	char *dumped = text ? json_dumps(text, JSON_ENCODE_ANY) : NULL;
	json_t *back = dumped ? json_loads(dumped, JSON_DECODE_ANY, NULL) : NULL;

	NEED(back && json_equal(text, back));
	check(dumped);
	free(dumped);
	json_decref(back);
	json_decref(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* parts of the input, because names are short */
	for (size_t at = 0, part; at < size && at < 1024; at += part) {
		char name[96];

		part = 1 + data[at] % 64u;
		if (part > size - at)
			part = size - at;
		memcpy(name, data + at, part);
		name[part] = '\0';
		to_a_terminal(name);
		to_a_record(name);
	}
	return 0;
}
