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

#include "tlstall/look.h"

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
/* The condition of a trace, from its header alone. */
struct trace_glance {
	bool alive;	   /* the process that made it lives */
	bool over;	   /* nobody writes to it any more */
	uint64_t last_ns;  /* the last sign of life in the header, since the epoch */
	bool certain;	   /* `over` is not only what can be seen from here */
};

/* Cheap, and keeps no descriptor. UNFINISHED: the trace is still being made. */
int trace_glance(const char *path, struct trace_glance *out);
/* The bytes must outlive the trace. */
int trace_open_bytes(const void *bytes, size_t size, struct trace **out);
void trace_close(struct trace *trace);

/*
 * A sentence without a full stop, to follow the file's name and a colon; of this
 * thread's last error. For VERSION it names both versions. `trace` may be NULL.
 */
const char *trace_strerror(const struct trace *trace, int error);

/* Frees the memory of reading, until more is read. Returned texts become invalid. */
void trace_idle(struct trace *trace);
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
/*
 * The id that this host knows that process by: another one than its own where it is in a
 * container. Of one that was never seen alive: its own. 0: not known.
 */
pid_t trace_pid_here(struct trace *trace, unsigned process);
/* After trace_glance(): all of its processes have ended, none has to be looked for. */
void trace_set_over(struct trace *trace);
/* Times since the epoch that a damaged trace has are at most this, in 2116: a sum of two fits in 64 bits. */
#define TRACE_LAST_NS (1ull << 62)
/* Ticks to nanoseconds since the epoch, and a difference of ticks to nanoseconds. */
uint64_t trace_realtime_ns(const struct trace *trace, uint64_t ticks);
/* When a handshake began, since the epoch: the same for every reader at any time. */
uint64_t trace_start_ns(const struct trace *trace, const struct tlstall_handshake *h);
uint64_t trace_span_ns(const struct trace *trace, uint64_t ticks);

/* ---- tables: "" or NULL for ids that are unknown ------------------------ */

/* Whether some are "" for lack of memory. */
bool trace_starved(const struct trace *trace);
const char *trace_function_name(struct trace *trace, unsigned id);
enum tlstall_function_kind trace_function_kind(struct trace *trace, unsigned id);
const char *trace_state_name(struct trace *trace, unsigned id);
const char *trace_string(struct trace *trace, unsigned id);
int trace_process(struct trace *trace, unsigned index, struct tlstall_process *out);
int trace_module(struct trace *trace, unsigned index, struct tlstall_module *out);
/* Of older versions, the stack's module is 0. */
int trace_stack(struct trace *trace, unsigned id, struct tlstall_stack *out);

/* All modules, each at its index; incomplete ones have no addresses. */
struct trace_modules {
	struct tlstall_module *list;
	uint32_t count;
};

int trace_modules(struct trace *trace, struct trace_modules *modules);
void trace_modules_free(struct trace_modules *modules);
/* The one that an address of this stack (or of none, NULL) is in; NULL: none, or it is not known which. */
const struct tlstall_module *trace_module_at(const struct trace_modules *modules,
					     const struct tlstall_stack *stack, uint64_t address);

/* ---- handshakes --------------------------------------------------------- */

/*
 * Slots of all handshakes in the trace. The last ones are summaries of those that mode `watch`
 * found quick and healthy: only handshakes in slots below trace_live_slot_count() may be in flight.
 */
unsigned trace_slot_count(const struct trace *trace);
unsigned trace_live_slot_count(const struct trace *trace);
/* Those that have had an owner, as of the last refresh. */
unsigned trace_slots_used(const struct trace *trace);
/* How many have begun in this trace, as of the last refresh. */
uint64_t trace_begun(const struct trace *trace);
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
/* Events were read by a cursor of another struct trace of the same file. */
void trace_learn(struct trace *trace);

/* ---- looks ----------------------------------------------------------------
 * What somebody who watched the program saw from outside, kept in its trace.
 */

/* The look at that handshake; >0: none was kept. Strings are terminated. */
int trace_look(struct trace *trace, const struct tlstall_handshake *h, struct tlstall_look *out);
/*
 * Appends looks to a trace that has none; its program may be alive. -1: failed, and the trace is
 * unchanged.
 */
int trace_keep_looks(const char *path, const struct tlstall_look *looks, uint32_t count);

/* ---- events --------------------------------------------------------------
 * A cursor walks both rings, each in its own order, merged by the time the
 * call returned. At a record that is not committed yet it stops with >0: come
 * again, or call trace_cursor_skip() when the writer is known to be dead.
 */
struct trace_cursor;
int trace_cursor_open(struct trace *trace, struct trace_cursor **out); /* at the oldest kept */
/*
 * The same over only the ring with all END events, and the summaries: for readers that do not need
 * calls.
 */
int trace_cursor_open_ends(struct trace *trace, struct trace_cursor **out);
void trace_cursor_close(struct trace_cursor *cursor);
/* Gives its memory back until the next event is asked for. */
void trace_cursor_idle(struct trace_cursor *cursor);
int trace_cursor_next(struct trace_cursor *cursor, struct tlstall_event *out);
/* Steps over records that were claimed and will never be committed: they count as damage. */
void trace_cursor_skip(struct trace_cursor *cursor);
/* Events overwritten before they were read, those before the cursor was opened included. */
uint64_t trace_cursor_lost(const struct trace_cursor *cursor);
/* When the event's call returned, in ticks: the order of the merge. The event is one of a cursor. */
uint64_t trace_event_end(const struct tlstall_event *event);

#endif
