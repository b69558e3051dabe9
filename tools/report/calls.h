/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of a trace, by handshake. */
#ifndef TOOLS_REPORT_CALLS_H
#define TOOLS_REPORT_CALLS_H

#include "report/gather.h"

/* As many of one handshake as the page shows. */
#define CALLS_SHOWN 100

struct gathered_calls {
	struct gathered_call *list;
	size_t count, room;
};

/* In the order of time. -1: out of memory. */
int calls_add(struct gathered_calls *calls, const struct tlstall_event *event);
/* Once all are added. */
void calls_sort(struct gathered_calls *calls);
/* Those of a handshake, the first CALLS_SHOWN of them. */
const struct gathered_call *calls_of(const struct gathered_calls *calls, uint32_t number,
				     size_t *count);
/* The first calls of one that mode `watch` found quick and healthy: they are no events. */
size_t calls_unpack(const struct tlstall_handshake *h, struct gathered_call out[TLSTALL_PACKED]);
void calls_free(struct gathered_calls *calls);

#endif
