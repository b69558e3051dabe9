/* SPDX-License-Identifier: Apache-2.0 */
#include "run/merge.h"

#include <stdlib.h>

static bool earlier(const struct merge_item *a, const struct merge_item *b)
{
	return a->ns != b->ns ? a->ns < b->ns : a->order < b->order;
}

static int make_room(struct merge *merge)
{
	size_t room = merge->room ? merge->room * 2 : 1024;
	struct merge_item *items;

	if (merge->count < merge->room)
		return 0;
	items = realloc(merge->items, room * sizeof(*items));
	if (!items)
		return -1;
	merge->items = items;
	merge->room = room;
	return 0;
}

int merge_add(struct merge *merge, struct followed *from, uint64_t ns,
	      const struct tlstall_event *event)
{
	struct merge_item item = {ns, merge->arrived++, from, *event};
	size_t at;

	if (make_room(merge))
		return -1;
	for (at = merge->count++; at; at = (at - 1) / 2) {
		if (!earlier(&item, &merge->items[(at - 1) / 2]))
			break;
		merge->items[at] = merge->items[(at - 1) / 2];
	}
	merge->items[at] = item;
	return 0;
}

/* Places `item` below the root, whose place is free. */
static void sink(struct merge *merge, const struct merge_item *item)
{
	size_t at = 0, child;

	while ((child = 2 * at + 1) < merge->count) {
		if (child + 1 < merge->count &&
		    earlier(&merge->items[child + 1], &merge->items[child]))
			child++;
		if (!earlier(&merge->items[child], item))
			break;
		merge->items[at] = merge->items[child];
		at = child;
	}
	merge->items[at] = *item;
}

bool merge_take(struct merge *merge, uint64_t until, struct merge_item *out)
{
	if (!merge->count || merge->items[0].ns > until)
		return false;
	*out = merge->items[0];
	if (--merge->count)
		sink(merge, &merge->items[merge->count]);
	return true;
}

void merge_free(struct merge *merge)
{
	free(merge->items);
	*merge = (struct merge){0};
}
