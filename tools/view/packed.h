/* SPDX-License-Identifier: Apache-2.0 */
/* The first calls of a handshake that mode `watch` found quick and healthy: a word each. */
#ifndef TOOLS_VIEW_PACKED_H
#define TOOLS_VIEW_PACKED_H

#include <stdbool.h>
#include <stdio.h>

#include "text/json_line.h"
#include "trace/reader.h"
#include "view/line.h"

static inline bool packed_is(const struct tlstall_handshake *h)
{
	return h->flags & TLSTALL_HS_COMPACT;
}

/* One line for the whole handshake. */
void packed_line(FILE *out, struct line_style *style, struct trace *trace,
		 const struct tlstall_handshake *h);
/* Member "call_log": [{fn, ret, error, retry, at_ns, duration_ns, state}, ...]; `ret`: its sign. */
void packed_record(struct json_line *record, struct trace *trace,
		   const struct tlstall_handshake *h);

#endif
