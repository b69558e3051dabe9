/* SPDX-License-Identifier: Apache-2.0 */
#include "run/looks.h"

#include <stdlib.h>

static bool grow(struct looks *looks)
{
	size_t room = looks->count ? 2 * (size_t)looks->count : 1;
	struct tlstall_look *items;

	/* at each power of two */
	if (looks->count & (looks->count - 1))
		return true;
	items = reallocarray(looks->items, room, sizeof(*items));
	if (items)
		looks->items = items;
	return items;
}

void looks_add(struct looks *looks, struct trace *trace, const struct tlstall_handshake *h,
	       const struct kernel_view *view)
{
	if (looks->count < UINT32_MAX && grow(looks))
		kernel_keep(view, h, trace_horizon(trace, h->process),
			    &looks->items[looks->count++]);
}

void looks_keep(struct looks *looks, const char *path)
{
	/* without them the trace is still what the program wrote */
	if (path && looks->count)
		(void)trace_keep_looks(path, looks->items, looks->count);
	free(looks->items);
	*looks = (struct looks){0};
}
