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

const struct recent_line *recent_next(const struct recent *recent, uint64_t after)
{
	uint64_t gone = recent->last - recent->count; /* numbers have no gaps */

	if (after >= recent->last)
		return NULL;
	return &recent->lines[(recent->first + (after > gone ? after - gone : 0)) % RECENT_LINES];
}

void recent_write(const struct recent *recent, FILE *out)
{
	for (size_t i = 0; i < recent->count; i++) {
		const struct recent_line *line = &recent->lines[(recent->first + i) % RECENT_LINES];

		fwrite(line->text, 1, line->length, out);
	}
}

void recent_free(struct recent *recent)
{
	while (recent->count)
		drop_oldest(recent);
}
