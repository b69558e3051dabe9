/* SPDX-License-Identifier: Apache-2.0 */
#include "run/drain.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "now.h"

/* How often the thread checks; if a reader has asked since, it needs no help. */
#define HELP_NS 10000000ull
/* Events kept of one trace, 64 MiB. Beyond that the ring may overwrite, and the loss is counted. */
#define KEPT (1u << 20)

struct event_list {
	struct tlstall_event *items;
	size_t count, room;
};

struct drain {
	struct drains *drains;
	struct drain *next;
	struct trace *readers;
	struct trace *trace; /* the same file again: threads do not share a struct trace */
	struct trace_cursor *cursor;
	struct event_list fill, given;
	size_t at; /* index into `given` */
	char why[256]; /* the last attempt to read failed; "": it did not */
};

static bool make_room(struct event_list *events)
{
	size_t room = events->room ? events->room * 2 : 1024;
	struct tlstall_event *items;

	if (events->count < events->room)
		return true;
	items = realloc(events->items, room * sizeof(*items));
	if (!items)
		return false;
	events->items = items;
	events->room = room;
	return true;
}

/* Called with the lock held. Events that find no room, or cannot be read, stay in the ring. */
static void read_rings(struct drain *drain)
{
	struct event_list *fill = &drain->fill;
	int result = 0;

	while (fill->count < KEPT && !result) {
		result = make_room(fill) ? trace_cursor_next(drain->cursor,
							     &fill->items[fill->count])
					 : TRACE_ERROR_MEMORY;
		fill->count += !result;
	}
	snprintf(drain->why, sizeof(drain->why), "%s",
		 result < 0 ? trace_strerror(drain->trace, result) : "");
}

/* ---- the thread ------------------------------------------------------------------ */

static void *help(void *argument)
{
	const struct timespec while_asleep = {.tv_nsec = HELP_NS};
	struct drains *drains = argument;
	bool stop;

	do {
		nanosleep(&while_asleep, NULL);
		pthread_mutex_lock(&drains->lock);
		if (now_ns(CLOCK_MONOTONIC) - drains->asked_ns >= HELP_NS)
			for (struct drain *drain = drains->first; drain; drain = drain->next)
				read_rings(drain);
		stop = drains->stop;
		pthread_mutex_unlock(&drains->lock);
	} while (!stop);
	return NULL;
}

/* Without the thread, events are read when they are asked for. The main thread handles signals. */
static void start(struct drains *drains)
{
	sigset_t all, old;

	if (drains->started)
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	drains->started = !pthread_create(&drains->thread, NULL, help, drains);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void drains_open(struct drains *drains)
{
	*drains = (struct drains){.lock = PTHREAD_MUTEX_INITIALIZER};
}

void drains_close(struct drains *drains)
{
	if (!drains->started)
		return;
	pthread_mutex_lock(&drains->lock);
	drains->stop = true;
	pthread_mutex_unlock(&drains->lock);
	pthread_join(drains->thread, NULL);
}

/* ---- one trace ------------------------------------------------------------------- */

static void free_drain(struct drain *drain)
{
	if (drain->cursor)
		trace_cursor_close(drain->cursor);
	if (drain->trace)
		trace_close(drain->trace);
	free(drain->fill.items);
	free(drain->given.items);
	free(drain);
}

int drain_open(struct drains *drains, const char *path, struct trace *trace, struct drain **out)
{
	struct drain *drain = calloc(1, sizeof(*drain));
	int error;

	*out = NULL;
	if (!drain)
		return TRACE_ERROR_MEMORY;
	drain->drains = drains;
	drain->readers = trace;
	error = trace_open_path(path, &drain->trace);
	if (!error)
		error = trace_cursor_open(drain->trace, &drain->cursor);
	if (error) {
		free_drain(drain);
		return error;
	}
	start(drains);
	pthread_mutex_lock(&drains->lock);
	drain->next = drains->first;
	drains->first = drain;
	pthread_mutex_unlock(&drains->lock);
	*out = drain;
	return 0;
}

void drain_close(struct drain *drain)
{
	struct drains *drains = drain->drains;
	struct drain **at = &drains->first;

	pthread_mutex_lock(&drains->lock);
	while (*at != drain)
		at = &(*at)->next;
	*at = drain->next;
	pthread_mutex_unlock(&drains->lock);
	free_drain(drain);
}

static void take(struct drain *drain)
{
	struct drains *drains = drain->drains;
	struct event_list empty = drain->given;

	empty.count = 0;
	drain->at = 0;
	pthread_mutex_lock(&drains->lock);
	drains->asked_ns = now_ns(CLOCK_MONOTONIC);
	read_rings(drain);
	drain->given = drain->fill;
	drain->fill = empty;
	pthread_mutex_unlock(&drains->lock);
	trace_learn(drain->readers);
}

bool drain_next(struct drain *drain, struct tlstall_event *out)
{
	if (drain->at == drain->given.count)
		take(drain);
	if (drain->at == drain->given.count)
		return false;
	*out = drain->given.items[drain->at++];
	return true;
}

void drain_skip(struct drain *drain)
{
	pthread_mutex_lock(&drain->drains->lock);
	trace_cursor_skip(drain->cursor);
	pthread_mutex_unlock(&drain->drains->lock);
}

bool drain_failed(struct drain *drain, char *why, size_t size)
{
	pthread_mutex_lock(&drain->drains->lock);
	snprintf(why, size, "%s", drain->why);
	pthread_mutex_unlock(&drain->drains->lock);
	return *why;
}

uint64_t drain_lost(struct drain *drain)
{
	uint64_t lost;

	pthread_mutex_lock(&drain->drains->lock);
	lost = trace_cursor_lost(drain->cursor);
	pthread_mutex_unlock(&drain->drains->lock);
	return lost;
}
