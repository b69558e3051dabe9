/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON records of schema "tlstall/1". Each is left open: the caller may add members, and ends it
 * by json_line_end().
 */
#ifndef TOOLS_VIEW_RECORD_H
#define TOOLS_VIEW_RECORD_H

#include "symbols/symbols.h"
#include "text/json_line.h"
#include "view/subject.h"

#define RECORD_SCHEMA "tlstall/1"

/*
 * Unique within a process: exec keeps the process id, its traces count from 1
 * again.
 */
uint64_t record_handshake_id(struct trace *trace, uint64_t number);
/* With its type and the schema. */
void record_begin(struct json_line *record, const char *type);
/* type "handshake" */
void record_handshake(struct json_line *record, const struct subject *subject);
/* Adds the frames of the stack that tells most of it, if there are symbols. */
void record_stack(struct json_line *record, const struct subject *subject, struct symbols *symbols);
/*
 * type "call", at `ts_ns` since the epoch; false: the event is no call. `h`: its handshake, NULL:
 * gone. `symbols`: for its stack, NULL: left out.
 */
bool record_call(struct json_line *record, struct trace *trace, const struct tlstall_event *event,
		 const struct tlstall_handshake *h, uint64_t ts_ns, struct symbols *symbols);
/* type "lost" */
void record_lost(struct json_line *record, uint64_t count);

#endif
