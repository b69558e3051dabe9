/* SPDX-License-Identifier: Apache-2.0 */
#include "run/follow.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "diagnosis/facts.h"
#include "now.h"
#include "tlstall/environment.h"
#include "tlstall/vocabulary.h"
#include "trace/reader.h"

#define MS 1000000ull

/* How long events wait for earlier ones of other threads and processes. */
#define HOLD_NS (30 * MS)
#define HOLD_LATE_NS (60 * MS)
/* How often traces are read. With the time above, events are shown within 100 ms. */
#define TICK_MS 25
/* More often for a while after a ring was found 1/BUSY_PART full of new events. */
#define BUSY_MS 10
#define BUSY_NS (200 * MS)
#define BUSY_PART 8
#define SCAN_NS (200 * MS)
/* How often we check whether a process lives, which tells until when it acted. */
#define ALIVE_NS (50 * MS)
/* Clock pairs closer together than this give too imprecise a length of a tick. */
#define LEAST_AGE_NS (12 * MS)
/*
 * Neighbors take a reading of the whole trace. A reading is reused for NEIGHBORS_COST times as long
 * as it took, but for no longer than NEIGHBORS_NS.
 */
#define NEIGHBORS_NS (500 * MS)
#define NEIGHBORS_COST 20
/* Events read from one trace, and shown, before others get their turn. */
#define READ_AT_ONCE 100000
#define GIVE_AT_ONCE 5000
/* Events waiting to be shown, 88 MiB: beyond that, no more are read. */
#define QUEUED (1u << 20)

/* ---- one trace ------------------------------------------------------------- */

struct symbols *followed_symbols(struct followed *followed)
{
	if (!followed->symbols_made)
		followed->symbols = symbols_of_trace(followed->trace);
	followed->symbols_made = true;
	return followed->symbols;
}

const struct neighbors *followed_neighbors(struct followed *followed)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC), most = followed->neighbors_cost_ns * NEIGHBORS_COST;

	if (most > NEIGHBORS_NS)
		most = NEIGHBORS_NS;
	if (followed->neighbors && now - followed->neighbors_ns < most)
		return followed->neighbors;
	neighbors_free(followed->neighbors);
	followed->neighbors = NULL;
	neighbors_read(followed->trace, &followed->neighbors);
	/* counted from the end, so that reading never takes up all the time */
	followed->neighbors_ns = now_ns(CLOCK_MONOTONIC);
	followed->neighbors_cost_ns = followed->neighbors_ns - now;
	return followed->neighbors;
}

bool followed_handshake(const struct followed *followed, const struct tlstall_event *event,
			struct tlstall_handshake *out)
{
	const struct watch *watch = watches_find(&followed->watches, event);

	if (!(watch && watch_is_final(watch)) && !trace_handshake_of(followed->trace, event, out))
		return true;
	if (watch)
		*out = watch->h;
	return watch;
}

static void note_unread(struct follow *follow, struct followed *followed, const char *why)
{
	followed->unread = true;
	if (!followed->unread_told)
		follow->sink->unread(follow->sink->context, followed, why);
	followed->unread_told = true;
}

static void free_followed(struct follow *follow, struct followed *followed)
{
	/* what was not read can still be reported from the file */
	bool keep = follow->keep || followed->unread;

	symbols_free(followed->symbols);
	neighbors_free(followed->neighbors);
	watches_free(&followed->watches);
	if (followed->drain)
		drain_close(followed->drain);
	if (followed->trace)
		trace_close(followed->trace);
	looks_keep(&followed->looks, keep ? followed->path : NULL);
	if (!keep)
		unlink(followed->path);
	free(followed->path);
	free(followed);
}

/* After an exec, handshakes of the earlier image are over. */
static void supersede(struct follow *follow, const struct followed *later)
{
	for (struct followed *f = follow->traces; f; f = f->next)
		if (f->pid == later->pid && f->image < later->image && f->trace &&
		    trace_header(f->trace)->process_count <= 1)
			f->over = true;
}

/* Returns whether trying again is useless. */
static bool open_trace(struct follow *follow, struct followed *followed)
{
	struct trace *trace = NULL;
	int error = trace_open_path(followed->path, &trace);

	if (error) {
		bool later = error == TRACE_ERROR_UNFINISHED || error == TRACE_ERROR_SHORT ||
			     error == TRACE_ERROR_MAGIC;
		bool gone = error == TRACE_ERROR_IO && errno == ENOENT;

		if (!later && !gone)
			follow->sink->failed(follow->sink->context, followed->pid,
					     trace_strerror(trace, error));
		return !later;
	}
	followed->trace = trace;
	followed->image = trace_header(trace)->image;
	error = drain_open(&follow->drains, followed->path, trace, &followed->drain);
	if (!error && watches_open(&followed->watches, trace))
		error = TRACE_ERROR_MEMORY;
	if (error) {
		note_unread(follow, followed, trace_strerror(trace, error));
		return true;
	}
	if (followed->image)
		supersede(follow, followed);
	follow->seen++;
	follow->sink->opened(follow->sink->context, followed);
	return false;
}

struct reporter {
	struct follow *follow;
	struct followed *followed;
};

static void report(void *context, const struct tlstall_handshake *h, const struct kernel_view *view)
{
	const struct reporter *reporter = context;
	const struct follow_sink *sink = reporter->follow->sink;

	/*
	 * the time until which its process was seen alive is worth keeping, even if nothing else
	 * was seen
	 */
	const struct kernel_view none = {.wait = TLSTALL_WAIT_NOT_LOOKED, .fd = -1};

	if (reporter->follow->keep && (view || !h->end))
		looks_add(&reporter->followed->looks, reporter->followed->trace, h,
			  view ? view : &none);
	sink->handshake(sink->context, reporter->followed, h, view);
}

/*
 * When a call returned, in ticks. A call's duration is rounded; if it ended its handshake, the
 * exact time is there.
 */
static uint64_t end_of(const struct followed *followed, const struct tlstall_event *event)
{
	uint64_t end = trace_event_end(event), slack = (end - event->ticks) / 8000000 + 1;
	bool ends = (event->flags & TLSTALL_EV_FINISHED) || !tlstall_is_retry(event->error);
	struct tlstall_handshake h;

	if (event->type != TLSTALL_EVENT_CALL || !ends || !followed_handshake(followed, event, &h))
		return end;
	return h.end + slack >= end && end + slack >= h.end ? h.end : end;
}

static void queue(struct follow *follow, struct followed *followed,
		  const struct tlstall_event *event, uint64_t now)
{
	uint64_t ns = trace_realtime_ns(followed->trace, end_of(followed, event));
	struct reporter reporter = {follow, followed};
	const struct watch_report to = {report, &reporter};

	if (event->type == TLSTALL_EVENT_END) {
		watches_ended(&followed->watches, followed->trace, event, now, &to);
		return;
	}
	/* within rounding errors, the cursor's order is better than the times */
	if (ns < followed->last_ns && followed->last_ns - ns < 2000)
		ns = followed->last_ns;
	if (ns > followed->last_ns)
		followed->last_ns = ns;
	if (merge_add(&follow->merge, followed, ns, event))
		followed->lost--; /* out of memory: counts as lost */
	else
		followed->queued++;
}

static void count_lost(struct follow *follow, struct followed *followed)
{
	uint64_t lost = drain_lost(followed->drain);

	if (lost != followed->lost)
		follow->sink->lost(follow->sink->context, followed, lost - followed->lost);
	followed->lost = lost;
}

/* Returns whether there are no more of them for now. */
static bool read_events(struct follow *follow, struct followed *followed, uint64_t now)
{
	uint32_t ring = trace_header(followed->trace)->section[TLSTALL_SECTION_REST].count;
	struct tlstall_event event;
	char why[256];
	uint32_t i;

	if (follow->merge.count >= QUEUED)
		return false;
	for (i = 0; i < READ_AT_ONCE && drain_next(followed->drain, &event); i++)
		queue(follow, followed, &event, now);
	if (i > ring / BUSY_PART)
		follow->busy_ns = now;
	count_lost(follow, followed);
	followed->unread = false;
	if (drain_failed(followed->drain, why, sizeof(why)))
		note_unread(follow, followed, why);
	return i < READ_AT_ONCE;
}

static bool all_dead(struct trace *trace)
{
	uint32_t count = trace_header(trace)->process_count;

	for (uint32_t i = 0; i < count; i++)
		if (trace_alive(trace, i))
			return false;
	return count > 0;
}

/*
 * Two clock pairs give the length of a tick, so a new trace has to wait for its second. Each new
 * pair shifts times slightly: it is taken only when the trace's age has doubled.
 */
static bool set_clock(struct followed *followed, uint64_t now)
{
	uint64_t first = trace_header(followed->trace)->first.monotonic_ns;

	if (now - first < LEAST_AGE_NS)
		return false;
	if (followed->clock_ns &&
	    (now - first < 1000 * MS || now - first < 2 * (followed->clock_ns - first)))
		return true;
	trace_set_now(followed->trace, trace_read_clock(followed->trace));
	followed->clock_ns = now;
	return true;
}

static void scan(struct follow *follow, struct followed *followed, uint64_t now)
{
	struct reporter reporter = {follow, followed};
	const struct watch_report to = {report, &reporter};

	if (now - followed->scan_ns < SCAN_NS)
		return;
	followed->scan_ns = now;
	watches_scan(&followed->watches, followed->trace, now, &to);
}

static void poll_trace(struct follow *follow, struct followed *followed, uint64_t now)
{
	int error = trace_refresh(followed->trace);

	if (error) {
		note_unread(follow, followed, trace_strerror(followed->trace, error));
		/* what cannot be read will not be shown, so nothing waits for it */
		followed->drained = followed->over;
		return;
	}
	if (!set_clock(followed, now))
		return;
	/* check before reading: then whatever a dead process wrote is all there */
	if (!followed->over && (follow->ending || now - followed->alive_ns > ALIVE_NS)) {
		followed->over = all_dead(followed->trace);
		followed->alive_ns = now;
	}
	followed->drained = read_events(follow, followed, now) && followed->over;
	if (followed->drained) {
		/* skip what a killed process claimed and never wrote */
		drain_skip(followed->drain);
		followed->drained = read_events(follow, followed, now);
	}
	scan(follow, followed, now);
}

/*
 * The trace is over and all its events were shown: reports the remaining handshakes as they stand.
 */
static void finish_trace(struct follow *follow, struct followed *followed)
{
	uint64_t now = now_ns(CLOCK_MONOTONIC);
	struct reporter reporter = {follow, followed};
	const struct watch_report to = {report, &reporter};

	watches_finish(&followed->watches, followed->trace, now, &to);
	if (followed->watches.missed)
		follow->sink->lost(follow->sink->context, followed, followed->watches.missed);
}

/* ---- the directory ------------------------------------------------------------ */

static void add_trace(struct follow *follow, const char *name, pid_t pid)
{
	struct followed *followed = calloc(1, sizeof(*followed)), **end = &follow->traces;

	if (!followed || asprintf(&followed->path, "%s/%s", follow->directory, name) < 0) {
		free(followed);
		return;
	}
	followed->pid = pid;
	while (*end)
		end = &(*end)->next;
	*end = followed;
}

static void take_name(struct follow *follow, const char *name)
{
	const char *failed = strstr(name, TLSTALL_FAILED_INFIX);
	size_t length = strlen(name), suffix = strlen(TLSTALL_TRACE_SUFFIX);
	pid_t pid = (pid_t)strtol(name, NULL, 10);
	char *path;

	if (length > suffix && !strcmp(name + length - suffix, TLSTALL_TRACE_SUFFIX)) {
		add_trace(follow, name, pid);
	} else if (failed) {
		follow->sink->failed(follow->sink->context, pid,
				     failed + strlen(TLSTALL_FAILED_INFIX));
		if (!follow->keep && asprintf(&path, "%s/%s", follow->directory, name) >= 0) {
			unlink(path);
			free(path);
		}
	}
}

static void read_directory(struct follow *follow)
{
	_Alignas(struct inotify_event) char buffer[4096];
	ssize_t size;

	while ((size = read(follow->notify, buffer, sizeof(buffer))) > 0) {
		const struct inotify_event *event;

		for (char *at = buffer; at < buffer + size; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			if (event->len)
				take_name(follow, event->name);
		}
	}
}

/* ---- in their order -------------------------------------------------------------- */

static void give_out(struct follow *follow, uint64_t until, unsigned room)
{
	struct merge_item item;

	while (room-- && merge_take(&follow->merge, until, &item)) {
		item.from->queued--;
		follow->sink->call(follow->sink->context, item.from, &item.event, item.ns);
	}
}

/* Closes traces that are over; all of them if `all`. */
static void drop_finished(struct follow *follow, bool all)
{
	for (struct followed **at = &follow->traces, *followed; (followed = *at);) {
		if (!all && (!followed->drained || followed->queued)) {
			at = &followed->next;
			continue;
		}
		if (followed->trace) {
			finish_trace(follow, followed);
			follow->sink->closing(follow->sink->context, followed);
		}
		*at = followed->next;
		free_followed(follow, followed);
	}
}

/* Opens a trace, or leaves it for later. Returns false if it will never be complete. */
static bool may_open(struct follow *follow, struct followed *followed)
{
	/* check before opening: what a dead process left will not change any more */
	bool gone = kill(followed->pid, 0) && errno == ESRCH;

	if (open_trace(follow, followed))
		return false;
	return followed->trace || !gone;
}

static void poll_traces(struct follow *follow)
{
	uint64_t now;

	read_directory(follow);
	/* not before: else a trace may be younger than that */
	now = now_ns(CLOCK_MONOTONIC);
	for (struct followed *f = follow->traces; f; f = f->next) {
		if (!f->trace && !f->drained)
			f->drained = !may_open(follow, f);
		if (f->trace && f->drain)
			poll_trace(follow, f, now);
	}
}

static uint64_t held_since(const struct follow *follow)
{
	return now_ns(CLOCK_REALTIME) - (follow->late ? HOLD_LATE_NS : HOLD_NS);
}

void follow_poll(struct follow *follow)
{
	poll_traces(follow);
	give_out(follow, held_since(follow), GIVE_AT_ONCE);
	drop_finished(follow, false);
}

int follow_timeout(const struct follow *follow)
{
	if (!follow->traces)
		return -1;
	if (follow->merge.count > GIVE_AT_ONCE)
		return 0;
	return now_ns(CLOCK_MONOTONIC) - follow->busy_ns < BUSY_NS ? BUSY_MS : TICK_MS;
}

bool follow_in_flight(const struct follow *follow)
{
	for (const struct followed *f = follow->traces; f; f = f->next) {
		if (f->over || f->drained)
			continue;
		if (!f->trace)
			return true;
		for (size_t i = 0; i < f->watches.count; i++)
			if (!f->watches.items[i].ended_ns)
				return true;
	}
	return false;
}

/* ---- begin and end ------------------------------------------------------------------ */

int follow_open(struct follow *follow, const char *directory, const struct follow_sink *sink)
{
	*follow = (struct follow){.directory = directory, .sink = sink};
	drains_open(&follow->drains);
	follow->notify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (follow->notify < 0)
		return -1;
	return inotify_add_watch(follow->notify, directory, IN_CREATE | IN_MOVED_TO) < 0 ? -1 : 0;
}

void follow_finish(struct follow *follow)
{
	uint64_t until = now_ns(CLOCK_MONOTONIC) + LEAST_AGE_NS;
	bool ripe, more;

	follow->ending = true;
	/* the trace may be too young for a second clock pair, and we may be delayed ourselves */
	do {
		ripe = now_ns(CLOCK_MONOTONIC) > until;
		more = false;
		poll_traces(follow);
		for (struct followed *f = follow->traces; f; f = f->next)
			more |= f->over && !f->drained;
		if (follow->merge.count >= QUEUED)
			give_out(follow, held_since(follow), QUEUED);
		if (!ripe)
			usleep(500);
	} while (!ripe || more);
	give_out(follow, UINT64_MAX, UINT32_MAX);
	drop_finished(follow, true);
}

void follow_close(struct follow *follow)
{
	drains_close(&follow->drains);
	merge_free(&follow->merge);
	if (follow->notify >= 0)
		close(follow->notify);
}
