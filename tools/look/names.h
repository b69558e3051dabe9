/* SPDX-License-Identifier: Apache-2.0 */
/* OpenSSL's functions by .symtab of a file, which is not loaded: of a program that exports none. */
#ifndef TOOLS_LOOK_NAMES_H
#define TOOLS_LOOK_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "look/regions.h"

struct name {
	char *text;
	uint64_t value, size;
};

struct names {
	struct name *list; /* sorted */
	unsigned count;
	bool starved; /* some are missing for lack of memory */
};

/*
 * From the file that a region is mapped from, even if its path has changed. Empty: it is stripped.
 */
void names_read(pid_t pid, const struct region *region, struct names *out);
void names_free(struct names *names);

/* NULL: there is none. */
const struct name *names_find(const struct names *names, const char *text);

#endif
