/* SPDX-License-Identifier: Apache-2.0 */
#include "run/paragraphs.h"

#include <stdlib.h>

#include "text/print.h"
#include "view/paragraph.h"

/* Paragraphs shown for each cause; others would look alike. */
#define KEEP 5

struct paragraph {
	uint64_t start_ns;
	char *text;
};

bool paragraphs_want(struct paragraphs *paragraphs, const struct subject *subject)
{
	enum cause cause = subject->verdicts[0].cause;

	paragraphs->of_cause[cause]++;
	return paragraphs->kept[cause] < KEEP;
}

static struct paragraph *add(struct paragraphs *paragraphs)
{
	unsigned room = paragraphs->room ? paragraphs->room * 2 : 8;
	struct paragraph *list;

	if (paragraphs->count == paragraphs->room) {
		list = realloc(paragraphs->list, room * sizeof(*list));
		if (!list)
			return NULL;
		paragraphs->list = list;
		paragraphs->room = room;
	}
	return &paragraphs->list[paragraphs->count++];
}

void paragraphs_add(struct paragraphs *paragraphs, const struct subject *subject,
		    struct symbols *symbols)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct paragraph *paragraph = out ? add(paragraphs) : NULL;

	if (out) {
		paragraph_write(out, subject, symbols, paragraphs->color);
		fclose(out);
	}
	if (!paragraph) {
		free(text);
		return;
	}
	paragraph->start_ns = trace_start_ns(subject->trace, &subject->h);
	paragraph->text = text;
	paragraphs->kept[subject->verdicts[0].cause]++;
}

static int by_start(const void *a, const void *b)
{
	const struct paragraph *one = a, *other = b;

	return one->start_ns < other->start_ns ? -1 : one->start_ns > other->start_ns;
}

void paragraphs_print(struct paragraphs *paragraphs, FILE *out)
{
	if (paragraphs->count)
		qsort(paragraphs->list, paragraphs->count, sizeof(*paragraphs->list), by_start);
	for (unsigned i = 0; i < paragraphs->count; i++) {
		putc('\n', out);
		print_ours(out, paragraphs->list[i].text ? paragraphs->list[i].text : "");
	}
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		unsigned more = paragraphs->of_cause[cause] - paragraphs->kept[cause];

		if (more)
			print(out, "\nand %u more with the cause %s\n", more,
				cause_name((enum cause)cause));
	}
}

void paragraphs_free(struct paragraphs *paragraphs)
{
	for (unsigned i = 0; i < paragraphs->count; i++)
		free(paragraphs->list[i].text);
	free(paragraphs->list);
	*paragraphs = (struct paragraphs){0};
}
