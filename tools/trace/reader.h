/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads trace files, finished, damaged or still being written. Never prints,
 * never exits, never trusts a byte. Functions return <0 on error (see
 * trace_strerror), 0 for a record, >0 at the end or for "nothing there".
 *
 * It reads through a source with pread semantics, never through a mapping:
 * a file that is truncated under us must not raise SIGBUS.
 */
#ifndef TOOLS_TRACE_READER_H
#define TOOLS_TRACE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tlstall/trace.h"

enum trace_error {
	TRACE_ERROR_IO = -1,	       /* see errno */
	TRACE_ERROR_SHORT = -2,	       /* ends before its header or first section does */
	TRACE_ERROR_MAGIC = -3,	       /* not a trace file */
	TRACE_ERROR_BYTE_ORDER = -4,   /* from a machine of the other byte order */
	TRACE_ERROR_VERSION = -5,      /* major version or feature that we do not know */
	TRACE_ERROR_LAYOUT = -6,       /* a section that cannot be */
	TRACE_ERROR_MEMORY = -7,
	TRACE_ERROR_UNFINISHED = -8,   /* the shim is still making it: try again */
};

struct trace_source {
	/* pread(2): bytes read, 0 at the end, -1 with errno */
	ssize_t (*read_at)(void *context, void *buffer, size_t size, uint64_t offset);
	void (*close)(void *context);
	void *context;
};

struct trace;

/* Takes over the source, on error too; then *out is NULL. */
int trace_open(struct trace_source source, struct trace **out);
int trace_open_path(const char *path, struct trace **out);
/* The bytes must outlive the trace. */
int trace_open_bytes(const void *bytes, size_t size, struct trace **out);
void trace_close(struct trace *trace);

/*
 * A sentence without a full stop, to follow the file's name and a colon; of this
 * thread's last error. For VERSION it names both versions. `trace` may be NULL.
 */
const char *trace_strerror(const struct trace *trace, int error);

/* Reads the header again (live traces). The pointer stays valid and is refreshed in place. */
int trace_refresh(struct trace *trace);
const struct tlstall_header *trace_header(const struct trace *trace);
/* Sections that were cut off, entries that were torn: reasons to say "read as far as it goes". */
uint64_t trace_damage(const struct trace *trace);

/* ---- time -------------------------------------------------------------- */

/* A clock pair measured now, by the caller, on the same host: makes live times exact. */
void trace_set_now(struct trace *trace, struct tlstall_clock_pair now);
/* Tells whether the trace was written on this very boot of this host. */
bool trace_is_local(const struct trace *trace);
/* Reads this host's clocks in the unit that the trace uses. */
struct tlstall_clock_pair trace_read_clock(const struct trace *trace);
/*
 * Up to when the trace tells of that process, in ticks: now, when it is alive on
 * this host; else its exit; else the last sign of life in the file.
 */
uint64_t trace_horizon(struct trace *trace, unsigned process);
/*
 * Whether that process (index in PROCESSES) is alive on this host and still runs
 * the image that made the trace. The answer may be 10 ms old. When it was seen
 * alive last is a sign of life, too: ask from time to time while you follow one.
 */
bool trace_alive(struct trace *trace, unsigned process);
/* Ticks to nanoseconds since the epoch, and a difference of ticks to nanoseconds. */
uint64_t trace_realtime_ns(const struct trace *trace, uint64_t ticks);
uint64_t trace_span_ns(const struct trace *trace, uint64_t ticks);

/* ---- tables: "" or NULL for ids that are unknown ------------------------ */

const char *trace_function_name(struct trace *trace, unsigned id);
enum tlstall_function_kind trace_function_kind(struct trace *trace, unsigned id);
const char *trace_state_name(struct trace *trace, unsigned id);
const char *trace_string(struct trace *trace, unsigned id);
int trace_process(struct trace *trace, unsigned index, struct tlstall_process *out);
int trace_module(struct trace *trace, unsigned index, struct tlstall_module *out);
int trace_stack(struct trace *trace, unsigned id, struct tlstall_stack *out);

/* ---- handshakes --------------------------------------------------------- */

unsigned trace_slot_count(const struct trace *trace);
/*
 * A stable copy; >0: the slot was never used or is being replaced. Counts and enums
 * that index something are within bounds, strings have an end.
 */
int trace_handshake(struct trace *trace, unsigned slot, struct tlstall_handshake *out);
/*
 * The same, for the handshake that an event names; >0: gone. The copy may be 1 ms
 * old, but was made after the newest event that the trace's cursors have read.
 */
int trace_handshake_of(struct trace *trace, const struct tlstall_event *event,
		       struct tlstall_handshake *out);

/* ---- looks ----------------------------------------------------------------
 * What somebody who watched the program saw from outside, kept in its trace.
 */

/* Of that handshake; >0: none was kept. Strings have an end. */
int trace_look(struct trace *trace, const struct tlstall_handshake *h, struct tlstall_look *out);
/*
 * Appends looks to a trace that has none; its program may be alive. -1: they could
 * not be kept, and the trace is what it was.
 */
int trace_keep_looks(const char *path, const struct tlstall_look *looks, uint32_t count);

/* ---- events --------------------------------------------------------------
 * A cursor walks both rings, each in its own order, merged by the time the
 * call returned. At a record that is not committed yet it stops with >0: come
 * again, or call trace_cursor_skip() when the writer is known to be dead.
 */
struct trace_cursor;
int trace_cursor_open(struct trace *trace, struct trace_cursor **out); /* at the oldest kept */
void trace_cursor_close(struct trace_cursor *cursor);
int trace_cursor_next(struct trace_cursor *cursor, struct tlstall_event *out);
/* Steps over records that were claimed and will never be committed: they count as damage. */
void trace_cursor_skip(struct trace_cursor *cursor);
/* Events overwritten before they were read, those before the cursor was opened included. */
uint64_t trace_cursor_lost(const struct trace_cursor *cursor);
/* When the event's call returned, in ticks: the order of the merge. */
uint64_t trace_event_end(const struct tlstall_event *event);

#endif
