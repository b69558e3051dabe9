/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/recent.h"

#include <stdlib.h>
#include <string.h>

static void drop_oldest(struct recent *recent)
{
	struct recent_line *line = &recent->lines[recent->first];

	recent->bytes -= line->length;
	free(line->text);
	*line = (struct recent_line){0};
	recent->first = (recent->first + 1) % RECENT_LINES;
	recent->count--;
}

void recent_add(struct recent *recent, const char *text, size_t length)
{
	char *copy = malloc(length + 1);
	struct recent_line *line;

	if (!copy)
		return;
	memcpy(copy, text, length);
	copy[length++] = '\n';
	while (recent->count && (recent->count == RECENT_LINES || recent->bytes + length > RECENT_BYTES))
		drop_oldest(recent);
	line = &recent->lines[(recent->first + recent->count++) % RECENT_LINES];
	*line = (struct recent_line){copy, length, ++recent->last};
	recent->bytes += length;
}

void recent_write(const struct recent *recent, uint64_t after, FILE *out)
{
	for (size_t i = 0; i < recent->count; i++) {
		const struct recent_line *line = &recent->lines[(recent->first + i) % RECENT_LINES];

		if (line->number > after)
			fwrite(line->text, 1, line->length, out);
	}
}

void recent_free(struct recent *recent)
{
	while (recent->count)
		drop_oldest(recent);
}
