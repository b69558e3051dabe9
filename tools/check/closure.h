/* SPDX-License-Identifier: Apache-2.0 */
/* A program and all that the loader would load with it, in the loader's order. */
#ifndef TOOLS_CHECK_CLOSURE_H
#define TOOLS_CHECK_CLOSURE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "check/ldcache.h"
#include "check/object.h"
#include "check/root.h"

struct library {
	char *name; /* as it was asked for */
	char *path; /* file; NULL: not found */
	bool same;  /* another entry is the same file: ignore this one */
	int parent; /* who needs it; -1: the program, or a plugin */
	dev_t device;
	ino_t inode;
	struct object object;
};

struct closure {
	struct library *list; /* the program first */
	size_t count;
	size_t done;	  /* entries whose needs are resolved */
	unsigned opens;	  /* files tried; bounded */
	struct root root;
	const char *library_path; /* NULL: none */
	struct ldcache cache;
	bool cache_read;
	bool starved; /* something is missing for lack of memory */
};

/*
 * Adds a file that is open already and what it needs. `fd` stays the
 * caller's. Returns the index of the entry, or a negative errno (as
 * object_read()). Libraries that are not found or damaged are entries
 * without a path.
 */
int closure_add(struct closure *closure, int fd, const char *path);
void closure_free(struct closure *closure);

/* Finds a library by name as a program's own need would be. Returns its path, to be freed, or NULL. */
char *closure_find(struct closure *closure, const char *name);

/* Its usual name: soname, otherwise the last part of its path. */
const char *library_name(const struct library *library);

#endif
