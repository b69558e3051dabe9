/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records of schema "tlstall/1". Each call returns a new object, NULL without memory. */
#ifndef TOOLS_VIEW_RECORD_H
#define TOOLS_VIEW_RECORD_H

#include <jansson.h>

#include "symbols/symbols.h"
#include "view/subject.h"

#define RECORD_SCHEMA "tlstall/1"

/* type "handshake". `symbols` NULL: raw addresses are left out. */
json_t *record_handshake(const struct subject *subject, struct symbols *symbols);
/* type "call"; NULL for events that are no call. `h`: its handshake, NULL: gone. */
json_t *record_call(struct trace *trace, const struct tlstall_event *event,
		    const struct tlstall_handshake *h, struct symbols *symbols);
/* Any text as JSON: what is not UTF-8 in it becomes '?'. */
json_t *record_text(const char *text);
/* type "lost" */
json_t *record_lost(uint64_t count);

#endif
