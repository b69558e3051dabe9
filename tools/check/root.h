/* SPDX-License-Identifier: Apache-2.0 */
/* Files as a process sees them: ours, or below the root of a container or chroot. */
#ifndef TOOLS_CHECK_ROOT_H
#define TOOLS_CHECK_ROOT_H

#include <stddef.h>

struct root {
	int fd;		/* of the root directory; -1: ours */
	char path[32];	/* "/proc/PID/root", "" when ours: for glob() */
};

#define ROOT_OURS ((struct root){.fd = -1})

/*
 * Opens a regular file for reading, symbolic links followed inside the root.
 * Returns a descriptor or a negative errno; -EISDIR for a directory, -EINVAL
 * for whatever else is not a regular file (never blocks on one).
 */
int root_open(const struct root *root, const char *path);

#endif
