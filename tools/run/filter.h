/* SPDX-License-Identifier: Apache-2.0 */
/* -e EXPR: which calls are shown. */
#ifndef TOOLS_RUN_FILTER_H
#define TOOLS_RUN_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a filter looks at of a call. */
struct filter_call {
	const char *function;
	const char *error; /* "SSL_ERROR_NONE" ... */
	uint32_t pid;
	uint64_t duration_ns;
};

struct filter_term;
struct filter {
	struct filter_term *terms;
	size_t count;
};

/* Adds an expression; -1: invalid, and `error` says why. */
int filter_add(struct filter *filter, const char *expression, char *error, size_t size);
/* Whether it fits all expressions. */
bool filter_fits(const struct filter *filter, const struct filter_call *call);
/*
 * Tells each function that the filter names and that is none of `functions` (up to NULL), with the
 * one that is most similar, or NULL.
 */
void filter_tell_unknown(const struct filter *filter, const char *const *functions,
			 void (*tell)(const char *name, const char *near));
void filter_free(struct filter *filter);

#endif
