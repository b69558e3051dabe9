/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether a path can be resolved without waiting. A network or FUSE file system
 * may hang, and so would any access to it. The kernel's list of mounts says what
 * is mounted where, without an access.
 */
#ifndef SHIM_LOCAL_H
#define SHIM_LOCAL_H

#include <stdbool.h>

/*
 * True if no file system on the path can hang, or if that is not known. The root directory's file
 * system counts as good: the program itself is there. Called by one thread at a time.
 */
bool local_is(const char *path);
/* The same with another list, and without following symbolic links. */
bool local_is_by(const char *list, const char *path);

#endif
