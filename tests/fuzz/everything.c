/* SPDX-License-Identifier: Apache-2.0 */
#include "everything.h"

#include <stdint.h>
#include <string.h>

#include "trace/reader.h"

static size_t sum; /* uses what was read, so that the compiler cannot drop it */

/* Counts are within bounds, whatever the file says. */
static size_t look_at_lists(struct trace *trace, const struct tlstall_handshake *h)
{
	size_t seen = strnlen(h->alpn, sizeof(h->alpn));

	for (unsigned i = 0; i < h->state_count; i++)
		seen += strlen(trace_state_name(trace, TLSTALL_STATE_ID(h->states[i])));
	for (unsigned i = 0; i < h->alert_count; i++)
		seen += h->alerts[i].description;
	return seen;
}

static void look_at_handshakes(struct trace *trace)
{
	struct tlstall_handshake handshake;
	struct tlstall_look look;
	unsigned slots = trace_slot_count(trace);

	for (unsigned i = 0; i < slots && i < 4096; i++) {
		if (trace_handshake(trace, i, &handshake) != 0)
			continue;
		sum += strnlen(handshake.sni, sizeof(handshake.sni));
		sum += strlen(trace_string(trace, handshake.reason));
		sum += look_at_lists(trace, &handshake);
		sum += strlen(trace_state_name(trace, handshake.state));
		sum += trace_span_ns(trace, handshake.end - handshake.start);
		sum += trace_realtime_ns(trace, handshake.start);
		if (trace_look(trace, &handshake, &look) == 0)
			sum += strlen(look.syscall) + look.wait;
	}
}

static void look_at_events(struct trace *trace)
{
	struct trace_cursor *cursor;
	struct tlstall_handshake handshake;
	struct tlstall_event event;

	if (trace_cursor_open(trace, &cursor) != 0)
		return;
	for (int i = 0; i < 100000; i++) {
		if (trace_cursor_next(cursor, &event) != 0) {
			trace_cursor_skip(cursor);
			if (trace_cursor_next(cursor, &event) != 0)
				break;
		}
		sum += strlen(trace_function_name(trace, event.function));
		sum += trace_event_end(&event);
		sum += trace_handshake_of(trace, &event, &handshake) == 0;
	}
	sum += trace_cursor_lost(cursor);
	trace_cursor_close(cursor);
}

static void look_at_tables(struct trace *trace)
{
	struct tlstall_process process;
	struct tlstall_module module;
	struct tlstall_stack stack;

	for (unsigned i = 0; i < 300; i++) {
		sum += strlen(trace_function_name(trace, i)) + strlen(trace_state_name(trace, i)) +
		       strlen(trace_string(trace, i));
		sum += (size_t)trace_function_kind(trace, i);
		if (trace_process(trace, i, &process) == 0)
			sum += process.pid;
		if (trace_module(trace, i, &module) == 0)
			sum += strnlen(module.path, sizeof(module.path));
		if (trace_stack(trace, i, &stack) == 0)
			sum += stack.count;
	}
}

static void look_at_time(struct trace *trace)
{
	struct tlstall_clock_pair now = {UINT64_MAX / 3, UINT64_MAX / 5, UINT64_MAX};

	for (unsigned i = 0; i < 20; i++)
		sum += trace_horizon(trace, i) + trace_alive(trace, i);
	sum += trace_refresh(trace) == 0;
	trace_set_now(trace, now);
	sum += trace_span_ns(trace, UINT64_MAX) + trace_realtime_ns(trace, 1);
	sum += trace_read_clock(trace).ticks;
}

size_t look_at_everything(struct trace *trace)
{
	look_at_tables(trace);
	look_at_handshakes(trace);
	look_at_events(trace);
	look_at_time(trace);
	return sum + trace_damage(trace) + trace_header(trace)->pid;
}
