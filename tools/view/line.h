/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One call as one line of text, in the manner of strace:
 *
 *	12:00:01.123456 curl[4123] SSL_connect(0x55d0c0, socket fd=5 nonblock
 *	127.0.0.1:8443 sni=example.org) = -1 WANT_READ retry=0 <0.000412> [SSLv3/TLS ...]
 *
 * The time is that of the call's return.
 */
#ifndef TOOLS_VIEW_LINE_H
#define TOOLS_VIEW_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "symbols/symbols.h"
#include "trace/reader.h"

enum line_time {
	LINE_TIME_MICROSECONDS, /* 12:00:01.123456 */
	LINE_TIME_SECONDS,	/* 12:00:01 */
	LINE_TIME_RELATIVE,	/* since the line before: "     0.000412" */
};

struct line_style {
	enum line_time time;
	uint64_t last_ns;   /* LINE_TIME_RELATIVE: of the line before; 0: none */
};

/* "12:00:01.123456 curl[4123] "; `comm` NULL: the time alone. */
void line_head(FILE *out, struct line_style *style, uint64_t realtime_ns, const char *comm,
	       uint32_t pid);
/*
 * The whole line and its newline. `h`: the call's handshake, NULL: gone. Events
 * that are no call write nothing.
 */
void line_write(FILE *out, struct line_style *style, struct trace *trace,
		const struct tlstall_event *event, uint64_t realtime_ns,
		const struct tlstall_handshake *h);
/* The frames of a stack, innermost first, one a line after `indent`. At most `room`. */
void line_stack(FILE *out, struct trace *trace, uint32_t id, struct symbols *symbols,
		const char *indent, unsigned room);
/* A call's result, as in the line: "-1 WANT_READ". */
void line_result(FILE *out, const struct tlstall_event *event);

/* ---- what records say of a call, too ---- */

/* "success", "retry", "shutdown", "fatal": what SSL_connect(3) says of the return value. */
const char *call_error_class(struct trace *trace, const struct tlstall_event *event);
/* The stack that belongs to this call: of a handshake's first op or of a failing one. 0: none. */
uint32_t call_stack(struct trace *trace, const struct tlstall_event *event,
		    const struct tlstall_handshake *h);

#endif
