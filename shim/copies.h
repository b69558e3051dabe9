/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of known copies of libssl; libssl_find() in libssl.h adds to it. These functions only
 * search the table.
 */
#ifndef SHIM_COPIES_H
#define SHIM_COPIES_H

#include "libssl.h"

/* Does nothing if it is already in the table, or the table is full. */
void copies_add(const struct libssl *made);
/* It was unloaded: its place in the table may be another copy's. */
void copies_drop(uint8_t i);
/* Whether they lie at the same address and have the same functions. */
bool copies_are_same(const struct libssl *a, const struct libssl *b);
/* Whether the table contains a copy loaded at that address. */
bool copies_know(uintptr_t start);
/* The copy that made an object, by its method; NULL: none. */
const struct libssl *copies_match(const void *object);
/*
 * Fallback if nothing matched. Only the structures of libgnutls-openssl contain no method, and an
 * object may be NULL. NULL: there is no copy.
 */
const struct libssl *copies_instead(const void *object);

/* For objects and methods of a copy in the table. */
static inline const struct libssl *copies_of(const void *object)
{
	const struct libssl *lib = libssl_first(object);

	if (__builtin_expect(lib != NULL, 1))
		return lib;
	lib = copies_match(object);
	return lib ? lib : copies_instead(object);
}

static inline const struct libssl *copies_of_method(const void *method)
{
	const struct libssl *lib = libssl_holding(method);

	return lib ? lib : copies_instead(method);
}

#endif
