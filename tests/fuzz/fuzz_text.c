/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a name for a terminal, JSON or a page: the output is valid UTF-8
 * without control characters or characters that change the direction of text, and
 * cleaning it again does not change it.
 */
#include "harmless.h"

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

static void to_a_terminal(const char *name)
{
	char *clean = clean_copy(name), *again = clean ? clean_copy(clean) : NULL, *printed = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&printed, &size);
	char cut[24];

	NEED(clean && again && out);
	need_harmless(clean, false);
	NEED(clean_is(clean) && !strcmp(clean, again));
	clean_text(name, cut, sizeof(cut));
	need_harmless(cut, false);
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
	need_harmless(dumped, false);
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
