/* SPDX-License-Identifier: Apache-2.0 */
/* What line and record both say of one call. */
#ifndef TOOLS_VIEW_CALL_H
#define TOOLS_VIEW_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "trace/reader.h"

/* Whether SSL_get_error's answer means "call again". */
bool call_is_retry(uint8_t error);
/* "success", "retry", "shutdown", "fatal": what SSL_connect(3) says of the return value. */
const char *call_error_class(struct trace *trace, const struct tlstall_event *event);
/* The stack that belongs to this call: of a handshake's first op or of a failing one. 0: none. */
uint32_t call_stack(struct trace *trace, const struct tlstall_event *event,
		    const struct tlstall_handshake *h);

#endif
