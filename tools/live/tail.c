/* SPDX-License-Identifier: Apache-2.0 */
#include "live/tail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kernel/dump.h"
#include "live/collect.h"
#include "now.h"
#include "tlstall/vocabulary.h"
#include "trace/directory.h"
#include "trace/host.h"

/* Directories are listed when they have changed, but at least this often. */
#define LIST_NS 10000000000ull
/*
 * How often we check whether a trace's processes are alive: idle ones, and those with handshakes in
 * flight.
 */
#define ALIVE_IDLE_NS 10000000000ull
#define ALIVE_BUSY_NS 3000000000ull
/* Clock pairs closer together than this give too imprecise a length of a tick. */
#define LEAST_AGE_NS 12000000ull

/* ---- one trace --------------------------------------------------------------- */

static void close_trace(struct tailed *t)
{
	watches_free(&t->watches);
	neighbors_free(t->neighbors);
	trace_cursor_close(t->cursor);
	trace_close(t->trace);
	t->neighbors = NULL;
	t->cursor = NULL;
	t->trace = NULL;
}

static void free_tailed(struct tailed *t)
{
	close_trace(t);
	free(t->path);
	free(t);
}

/* A trace that is not complete yet is tried again. */
static void open_trace(struct tailed *t)
{
	int error = trace_open_path(t->path, &t->trace);

	if (error == TRACE_ERROR_UNFINISHED || error == TRACE_ERROR_SHORT ||
	    (error == TRACE_ERROR_IO && (errno == ENOENT || errno == EMFILE || errno == ENFILE)))
		return;
	if (!error)
		error = trace_cursor_open_ends(t->trace, &t->cursor);
	if (!error)
		error = watches_open(&t->watches, t->trace);
	if (error) {
		t->failed = true;
		close_trace(t);
		return;
	}
	t->watches.patient = true;
	t->image = trace_header(t->trace)->image;
	t->opening = t->history = t->begun = UINT64_MAX;
}

struct reporter {
	const struct tail *tail;
	struct tailed *from;
};

static bool is_before(const struct tail *tail, const struct trace *trace, uint64_t end)
{
	return end && trace_realtime_ns(trace, end) <= tail->since_ns;
}

static void report(void *context, const struct tlstall_handshake *h, const struct kernel_view *view)
{
	const struct reporter *r = context;
	bool was_left = !h->end && r->from->left_ns && r->from->left_ns <= r->tail->since_ns;

	if (!was_left && !is_before(r->tail, r->from->trace, h->end))
		r->tail->sink->handshake(r->tail->sink->context, r->from, h, view);
}

static void read_ends(struct tail *tail, struct tailed *t, uint64_t now,
		      const struct watch_report *to)
{
	struct tlstall_event event;
	bool skipped = false;

	for (;;) {
		int result = trace_cursor_next(t->cursor, &event);

		/* skip what a killed process claimed and never wrote */
		if (result > 0 && t->over && !skipped) {
			trace_cursor_skip(t->cursor);
			skipped = true;
			continue;
		}
		if (result)
			break;
		if (event.type == TLSTALL_EVENT_END &&
		    !is_before(tail, t->trace, trace_event_end(&event)))
			watches_ended(&t->watches, t->trace, &event, now, to);
	}
	trace_cursor_idle(t->cursor);
}

/* `quiet`: do not report losses from before we began to read. */
static void count_lost(const struct tail *tail, struct tailed *t, bool quiet)
{
	uint64_t lost = trace_cursor_lost(t->cursor) + t->watches.missed;

	if (lost > t->lost && !quiet)
		tail->sink->lost(tail->sink->context, lost - t->lost);
	t->lost = lost;
}

static void ask_processes(struct tailed *t, uint64_t now)
{
	const struct tlstall_header *header = trace_header(t->trace);
	uint64_t every = t->watches.count ? ALIVE_BUSY_NS : ALIVE_IDLE_NS;
	unsigned room = header->section[TLSTALL_SECTION_PROCESSES].count;

	if (t->over || (t->alive_ns && !header->exited && now - t->alive_ns < every))
		return;
	t->alive_ns = now;
	t->processes = 0;
	for (unsigned i = 0; i < header->process_count && i < room; i++)
		t->processes += trace_alive(t->trace, i);
	t->over = !t->processes && header->process_count;
}

/* All of its processes, of which only the trace itself tells, had ended before we came. */
static void note_left(struct tailed *t)
{
	struct trace_glance glance;

	if (t->over && !trace_glance(t->path, &glance))
		t->left_ns = glance.last_ns;
}

/* Notes the trace's counters, and returns whether they have changed. */
static bool has_moved(struct tailed *t)
{
	const struct tlstall_header *h = trace_header(t->trace);
	bool moved = h->opening_head != t->opening || h->history_head != t->history ||
		     h->handshakes != t->begun;

	t->opening = h->opening_head;
	t->history = h->history_head;
	t->begun = h->handshakes;
	return moved;
}

static bool is_quiet(const struct tailed *t)
{
	for (size_t i = 0; i < t->watches.count; i++)
		if (!watch_is_quiet(&t->watches.items[i]))
			return false;
	return true;
}

void tail_forget_reading(struct tailed *t)
{
	looker_free(&t->watches.looker);
	neighbors_free(t->neighbors);
	t->neighbors = NULL;
	trace_idle(t->trace);
}

/* The first reading of a trace shows what it had lost before. */
static void poll_trace(struct tail *tail, struct tailed *t, uint64_t now)
{
	struct reporter reporter = {tail, t};
	const struct watch_report to = {report, &reporter};
	bool first = t->opening == UINT64_MAX, moved;

	if (trace_refresh(t->trace) ||
	    now - trace_header(t->trace)->first.monotonic_ns < LEAST_AGE_NS)
		return;
	/* check before reading: then whatever a dead process wrote is all there */
	ask_processes(t, now);
	if (first)
		note_left(t);
	moved = has_moved(t);
	if (!moved && !t->over && is_quiet(t))
		return;
	trace_set_now(t->trace, trace_read_clock(t->trace));
	if (moved || t->over)
		read_ends(tail, t, now, &to);
	if (t->over)
		watches_finish(&t->watches, t->trace, now, &to);
	else
		watches_scan(&t->watches, t->trace, now, &to);
	tail_forget_reading(t);
	count_lost(tail, t, first && !tail->polled);
	if (t->over)
		close_trace(t);
}

void tail_judge(struct tailed *from, const struct tlstall_handshake *h,
		const struct kernel_view *view, bool whole, struct subject *out)
{
	subject_look(from->trace, h, view, out);
	if (subject_is_bad(out) && !from->neighbors && whole)
		neighbors_read(from->trace, &from->neighbors);
	if (subject_is_bad(out) && from->neighbors)
		neighbors_add(from->neighbors, h, &out->facts);
	subject_judge(out);
}

/* ---- which traces there are ------------------------------------------------------ */

static int by_path(const void *a, const void *b)
{
	return strcmp((*(struct tailed *const *)a)->path, (*(struct tailed *const *)b)->path);
}

static struct tailed *find(const struct tail *tail, const char *path)
{
	struct tailed wanted = {.path = (char *)path}, *key = &wanted, **found = NULL;

	if (tail->sorted)
		found = bsearch(&key, tail->list, tail->sorted, sizeof(*tail->list), by_path);
	return found ? *found : NULL;
}

static struct tailed *add(struct tail *tail, const struct trace_entry *entry)
{
	size_t room = tail->room ? tail->room * 2 : 64;
	struct tailed **list, *t;

	if (tail->count == tail->room) {
		list = reallocarray(tail->list, room, sizeof(struct tailed *));
		if (!list)
			return NULL;
		tail->list = list;
		tail->room = room;
	}
	t = calloc(1, sizeof(*t));
	if (t)
		t->path = strdup(entry->path);
	if (!t || !t->path) {
		free(t);
		return NULL;
	}
	t->pid = entry->pid;
	tail->list[tail->count++] = t;
	return t;
}

/* A trace that was over before `since_ns` is not opened. */
static bool is_history(const struct tail *tail, const char *path)
{
	struct trace_glance glance;

	return !trace_glance(path, &glance) && glance.over &&
	       glance.last_ns + 1000000000 < tail->since_ns;
}

static void take_entry(struct tail *tail, const struct trace_entry *entry)
{
	const struct host_process process = {.pid = entry->pid, .start_time = entry->start_time};
	struct tailed *t;

	if (entry->failed) {
		tail->untraced += host_find(&process) != 0;
		return;
	}
	t = find(tail, entry->path);
	if (!t) {
		t = add(tail, entry);
		if (t)
			t->over = is_history(tail, entry->path);
	}
	if (!t)
		return;
	t->listed = true;
	if (!t->trace && !t->over && !t->failed)
		open_trace(t);
	tail->unreadable += t->failed;
}

static void forget_unlisted(struct tail *tail)
{
	size_t kept = 0;

	for (size_t i = 0; i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		/* a trace file that was removed is followed until its process ends */
		if (t->listed || t->trace)
			tail->list[kept++] = t;
		else
			free_tailed(t);
	}
	tail->count = tail->sorted = kept;
	if (kept)
		qsort(tail->list, kept, sizeof(*tail->list), by_path);
}

/* After an exec, handshakes of the earlier image are over. */
static void supersede(struct tail *tail)
{
	for (size_t i = 0; i < tail->count; i++) {
		const struct tailed *later = tail->list[i];

		for (size_t j = 0; later->trace && later->image && j < tail->count; j++) {
			struct tailed *t = tail->list[j];

			if (t->trace && t->pid == later->pid && t->image < later->image &&
			    trace_header(t->trace)->start_time ==
				    trace_header(later->trace)->start_time &&
			    trace_header(t->trace)->process_count <= 1)
				t->over = true;
		}
	}
}

static uint64_t changes(char **places)
{
	uint64_t sum = 0;
	struct stat st;

	for (size_t i = 0; places && places[i]; i++)
		if (!stat(places[i], &st))
			sum = sum * 31 + (uint64_t)st.st_mtim.tv_sec * 1000000000 +
			      (uint64_t)st.st_mtim.tv_nsec;
	return sum;
}

static void list_places(struct tail *tail, uint64_t now)
{
	struct trace_list list = {0};
	uint64_t changed = changes(tail->only ? tail->only : tail->places);
	char **places;

	if (tail->listed_ns && changed == tail->changed && now - tail->listed_ns < LIST_NS)
		return;
	tail->changed = changed;
	tail->listed_ns = now;
	if (!tail->only) {
		trace_search_path_free(tail->places);
		tail->places = live_directories();
	}
	places = tail->only ? tail->only : tail->places;
	for (size_t i = 0; places && places[i]; i++)
		trace_list_add(&list, places[i]);
	for (size_t i = 0; i < tail->count; i++)
		tail->list[i]->listed = false;
	tail->untraced = tail->unreadable = 0;
	host_count();
	for (unsigned i = 0; i < list.count; i++)
		take_entry(tail, &list.entries[i]);
	host_forget();
	trace_list_free(&list);
	forget_unlisted(tail);
	supersede(tail);
}

void tail_poll(struct tail *tail)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	list_places(tail, now);
	dumps_begin();
	tail->processes = 0;
	for (size_t i = 0; i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		if (t->trace)
			poll_trace(tail, t, now);
		tail->processes += t->trace ? t->processes : 0;
	}
	dumps_end();
	tail->polled = true;
}

void tail_settle(struct tail *tail)
{
	for (size_t i = 0; i < tail->count; i++) {
		struct tailed *t = tail->list[i];

		for (size_t j = 0; t->trace && j < t->watches.count; j++) {
			struct watch *watch = &t->watches.items[j];
			struct reporter reporter = {tail, t};

			if (watch->h.end && !(watch->h.flags & TLSTALL_HS_COMPACT))
				report(&reporter, &watch->h, watch->looked_ns ? &watch->view : NULL);
		}
	}
}

void tail_close(struct tail *tail)
{
	for (size_t i = 0; i < tail->count; i++)
		free_tailed(tail->list[i]);
	free(tail->list);
	trace_search_path_free(tail->places);
	*tail = (struct tail){0};
}
