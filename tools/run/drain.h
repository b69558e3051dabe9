/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empties the rings of the traces before their writers come around again. Judging and printing may
 * take longer than that: reading the symbols of a library takes 150 ms, and a program that spins
 * makes a million calls a second. A thread then keeps reading.
 */
#ifndef TOOLS_RUN_DRAIN_H
#define TOOLS_RUN_DRAIN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "trace/reader.h"

/* The rings of one trace. */
struct drain;

struct drains {
	pthread_mutex_t lock; /* of all below, and of each drain's `fill` and cursor */
	struct drain *first;
	pthread_t thread;
	bool started, stop;
	uint64_t asked_ns; /* CLOCK_MONOTONIC: when the reader last asked for events */
};

void drains_open(struct drains *drains);
/* Every drain was closed. */
void drains_close(struct drains *drains);

/*
 * `trace`: the reader's own view of the file at `path`, where it looks up what events name.
 * 0 or a TRACE_ERROR_*.
 */
int drain_open(struct drains *drains, const char *path, struct trace *trace, struct drain **out);
void drain_close(struct drain *drain);
/* The next event; false: none was complete when it was asked. */
bool drain_next(struct drain *drain, struct tlstall_event *out);
/* Passes over records that a killed process claimed and never wrote. */
void drain_skip(struct drain *drain);
/* Whether the last attempt to read events failed, and why; they are not lost, and it is tried again. */
bool drain_failed(struct drain *drain, char *why, size_t size);
/* Events that were overwritten before they were read. */
uint64_t drain_lost(struct drain *drain);

#endif
