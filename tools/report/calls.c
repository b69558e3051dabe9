/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "report/calls.h"

int calls_add(struct gathered_calls *calls, const struct tlstall_event *event)
{
	if (!event->handshake || event->retry >= CALLS_SHOWN)
		return 0;
	if (calls->count == calls->room) {
		size_t room = calls->room ? calls->room * 2 : 1024;
		struct gathered_call *list = realloc(calls->list, room * sizeof(*list));

		if (!list)
			return -1;
		calls->list = list;
		calls->room = room;
	}
	calls->list[calls->count++] = (struct gathered_call){
		.ticks = event->ticks,
		.duration = (uint64_t)event->duration,
		.number = event->handshake,
		.order = event->retry,
		.ret = event->ret,
		.function = event->function,
		.error = event->error,
		.state = event->state,
	};
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct gathered_call *one = a, *two = b;

	if (one->number != two->number)
		return one->number < two->number ? -1 : 1;
	if (one->ticks != two->ticks)
		return one->ticks < two->ticks ? -1 : 1;
	return (one->order > two->order) - (one->order < two->order);
}

void calls_sort(struct gathered_calls *calls)
{
	if (calls->count)
		qsort(calls->list, calls->count, sizeof(*calls->list), compare);
}

/* Index of the first call of a handshake with at least this number. */
static size_t lower_bound(const struct gathered_calls *calls, uint64_t number)
{
	size_t low = 0, high = calls->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (calls->list[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct gathered_call *calls_of(const struct gathered_calls *calls, uint32_t number,
				     size_t *count)
{
	size_t first = lower_bound(calls, number);
	size_t last = lower_bound(calls, number + 1ull);

	*count = last - first < CALLS_SHOWN ? last - first : CALLS_SHOWN;
	return *count ? calls->list + first : NULL;
}

size_t calls_unpack(const struct tlstall_handshake *h, struct gathered_call out[TLSTALL_PACKED])
{
	size_t count = h->calls < TLSTALL_PACKED ? h->calls : TLSTALL_PACKED;
	uint64_t at = h->start;

	for (size_t i = 0; i < count; i++) {
		uint64_t word = h->packed[i], duration = TLSTALL_PACK_DURATION(word);

		at += TLSTALL_PACK_GAP(word);
		out[i] = (struct gathered_call){
			.ticks = at,
			.duration = duration,
			.number = (uint32_t)h->number,
			.order = (uint32_t)i,
			.ret = TLSTALL_PACK_RET(word),
			.function = TLSTALL_PACK_FUNCTION(word),
			.error = TLSTALL_PACK_ERROR(word),
			.state = TLSTALL_PACK_STATE(word),
		};
		at += duration;
	}
	return count;
}

void calls_free(struct gathered_calls *calls)
{
	free(calls->list);
	*calls = (struct gathered_calls){0};
}
