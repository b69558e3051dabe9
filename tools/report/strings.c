/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "report/strings.h"
#include "text/clean.h"

static uint32_t *find(const struct strings *strings, const char *text)
{
	uint32_t i = (uint32_t)hash_of(text, strlen(text)) & (strings->table_size - 1);

	while (strings->table[i] && strcmp(strings->text[strings->table[i] - 1], text))
		i = (i + 1) & (strings->table_size - 1);
	return &strings->table[i];
}

static int grow(struct strings *strings)
{
	uint32_t size = strings->table_size ? strings->table_size * 2 : 256;
	char **text = realloc(strings->text, size / 2 * sizeof(*text));
	uint32_t *table;

	if (!text)
		return -1;
	strings->text = text;
	table = calloc(size, sizeof(*table));
	if (!table)
		return -1;
	free(strings->table);
	strings->table = table;
	strings->table_size = size;
	strings->room = size / 2;
	for (uint32_t id = 0; id < strings->count; id++)
		*find(strings, strings->text[id]) = id + 1;
	return 0;
}

static uint32_t add(struct strings *strings, const char *text)
{
	uint32_t *entry;
	char *copy;

	if (strings->count == strings->room && grow(strings) < 0) {
		strings->failed = true;
		return 0;
	}
	entry = find(strings, text);
	if (*entry)
		return *entry - 1;
	copy = strdup(text);
	if (!copy) {
		strings->failed = true;
		return 0;
	}
	strings->text[strings->count] = copy;
	*entry = ++strings->count;
	return *entry - 1;
}

uint32_t strings_id(struct strings *strings, const char *text)
{
	if (!strings->count)
		add(strings, "");
	return text && *text && strings->count ? add(strings, text) : 0;
}

uint32_t strings_any(struct strings *strings, const char *text)
{
	char clean[STRINGS_ANY];

	if (text)
		clean_text(text, clean, sizeof(clean));
	return strings_id(strings, text ? clean : NULL);
}

const char *strings_text(const struct strings *strings, uint32_t id)
{
	return id < strings->count ? strings->text[id] : "";
}

void strings_free(struct strings *strings)
{
	for (uint32_t id = 0; id < strings->count; id++)
		free(strings->text[id]);
	free(strings->text);
	free(strings->table);
	*strings = (struct strings){0};
}
