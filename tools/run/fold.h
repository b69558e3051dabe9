/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of equal results on one SSL object is printed once: a program that spins makes 100,000
 * calls a second.
 */
#ifndef TOOLS_RUN_FOLD_H
#define TOOLS_RUN_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

struct followed;

/* Calls of one kind on one SSL object that share one line. */
struct fold_run {
	struct followed *from;
	struct tlstall_event event; /* the last one */
	uint64_t count;
	uint64_t first_ns, last_ns; /* since the epoch */
};

struct fold_entry;
struct fold {
	struct fold_entry *entries; /* open addressing */
	size_t room, used;
	void (*told)(void *context, const struct fold_run *run, uint64_t now_ns);
	void *context;
};

/*
 * Whether to print the call now. If not, it is counted, and told() is called at the next different
 * call, after a second, or at the end.
 */
bool fold_add(struct fold *fold, struct followed *from, const struct tlstall_event *event,
	      uint64_t ns);
/* Prints runs that have lasted a second, or have ended; at UINT64_MAX, all of them. */
void fold_flush(struct fold *fold, uint64_t now_ns);
/* Before a trace is closed. */
void fold_forget(struct fold *fold, const struct followed *from);
void fold_free(struct fold *fold);

#endif
