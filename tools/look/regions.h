/* SPDX-License-Identifier: Apache-2.0 */
/* All mappings of a process, from /proc/PID/maps. */
#ifndef TOOLS_LOOK_REGIONS_H
#define TOOLS_LOOK_REGIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct region {
	uint64_t start, end;
	uint64_t offset; /* in the file */
	bool readable, writable, executable;
	char *path; /* "[heap]", "/usr/lib/x.so (deleted)"; "": no file */
};

struct regions {
	struct region *list; /* by address */
	unsigned count;
};

/* -1 with errno. */
int regions_read(pid_t pid, struct regions *out);
void regions_free(struct regions *regions);

/* NULL: nothing is mapped there. */
const struct region *regions_find(const struct regions *regions, uint64_t address);

#endif
