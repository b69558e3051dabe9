/* SPDX-License-Identifier: Apache-2.0 */
/* What a look found, for people and for scripts. */
#ifndef TOOLS_LIVE_LOOKED_TEXT_H
#define TOOLS_LIVE_LOOKED_TEXT_H

#include <stdio.h>

#include "live/looked.h"
#include "symbols/symbols.h"
#include "text/json_line.h"

/* A line about the process, then a paragraph and the stack of each handshake. */
void looked_write(FILE *out, struct looked *looked, struct symbols *symbols, bool color);

/* type "look": the process and what it has; see view/record.h. */
void looked_record(struct json_line *record, const struct looked *looked);

/* Whether a connection from a client has no TLS object, and nothing was received on it. */
bool looked_is_mute(const struct process_socket *socket);

#endif
