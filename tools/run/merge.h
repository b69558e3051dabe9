/* SPDX-License-Identifier: Apache-2.0 */
/* Events of many processes, in order of time. */
#ifndef TOOLS_RUN_MERGE_H
#define TOOLS_RUN_MERGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

struct followed;

struct merge_item {
	uint64_t ns;	/* return of the call, since the epoch */
	uint64_t order; /* of arrival, where times are equal */
	struct followed *from;
	struct tlstall_event event;
};

/* A heap. */
struct merge {
	struct merge_item *items;
	size_t count, room;
	uint64_t arrived;
};

/* -1: no memory. */
int merge_add(struct merge *merge, struct followed *from, uint64_t ns,
	      const struct tlstall_event *event);
/* The earliest, if it is not later than `until`. */
bool merge_take(struct merge *merge, uint64_t until, struct merge_item *out);
void merge_free(struct merge *merge);

#endif
