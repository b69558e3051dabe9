/* SPDX-License-Identifier: Apache-2.0 */
/* Removes traces of processes that have ended, and never another. Never prints. */
#ifndef TOOLS_PRUNE_PRUNE_H
#define TOOLS_PRUNE_PRUNE_H

#include <stdbool.h>
#include <stdint.h>

/* A trace has to fit all of them. */
struct prune_wish {
	const char *directory;
	double older_s;	      /* the last sign of life is at least so long ago */
	uint64_t keep_bytes;  /* the oldest go until so much is left; UINT64_MAX: no bound */
	unsigned keep_traces; /* ... so many are left; UINT_MAX: no bound */
	bool only_ok;	      /* only those in which every handshake went well */
	bool dry;	      /* remove nothing, and tell of it all the same */
};

struct prune_sink {
	void (*removed)(void *context, const char *path, uint64_t bytes); /* or NULL */
	/* `why`: a sentence without a full stop */
	void (*not_removed)(void *context, const char *path, const char *why);
	void (*unreadable)(void *context, const char *path, const char *why);
	void *context;
};

struct pruned {
	unsigned traces; /* removed */
	uint64_t bytes;
	unsigned left, live; /* traces; those of running processes */
	uint64_t left_bytes;
	bool failed; /* one could not be removed */
};

/* -1 with errno: the directory cannot be read. */
int prune(const struct prune_wish *wish, const struct prune_sink *sink, struct pruned *out);

/* "30m", "12h", "7d" to seconds; "500M", "2G" to bytes. -1: it is none. */
int prune_parse_age(const char *text, double *seconds);
int prune_parse_size(const char *text, uint64_t *bytes);

#endif
