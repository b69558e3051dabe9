/* SPDX-License-Identifier: Apache-2.0 */
/* The newest records, as JSON Lines: a ring of limited size. */
#ifndef TOOLS_SERVE_RECENT_H
#define TOOLS_SERVE_RECENT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define RECENT_LINES 4096
#define RECENT_BYTES (8u << 20)

struct recent_line {
	char *text; /* with its newline */
	size_t length;
	uint64_t number; /* from 1 */
};

struct recent {
	struct recent_line lines[RECENT_LINES];
	size_t first, count, bytes;
	uint64_t last; /* number of the newest */
};

/* Copies a line, which has no newline. Drops the oldest to make room; does nothing without memory. */
void recent_add(struct recent *recent, const char *text, size_t length);
/* The first line after number `after`; NULL: none. */
const struct recent_line *recent_next(const struct recent *recent, uint64_t after);
/* Writes all of them, the oldest first. */
void recent_write(const struct recent *recent, FILE *out);
void recent_free(struct recent *recent);

#endif
