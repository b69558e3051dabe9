/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as the tool sees them, and as a process with another root sees them. */
#ifndef TOOLS_ATTACH_PLACE_H
#define TOOLS_ATTACH_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "attach/attach.h"

/* Whether that process sees the same file at that path. */
bool place_is_same(pid_t pid, const char *path);
/* A path of its root, from here. */
void place_from_here(pid_t pid, const char *path, char *out, size_t size);

/*
 * Creates a directory for its trace that it can write to. Returns 0, or -1 and a sentence. One that
 * was made in its root stays the same for us, whatever takes its name meanwhile.
 */
int place_make(struct attach *attach, char *why, size_t size);
void place_remove(const struct attach *attach);

/* Whether a running tool will remove that directory, or has removed it. */
bool place_is_watched(const char *path);
/* In a child that does not remove it. */
void place_end_watch(void);

#endif
