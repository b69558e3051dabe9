/* SPDX-License-Identifier: Apache-2.0 */
/* The ELF files that another process has mapped, from /proc/PID/maps. */
#ifndef TOOLS_KERNEL_MAPS_H
#define TOOLS_KERNEL_MAPS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* One file mapped once: its mappings in a row. */
struct mapped {
	uint64_t start, end;
	uint64_t offset;    /* in the file, of `start` */
	uint64_t first_end; /* of the first mapping: with `start` the name in map_files/ */
	bool deleted;	    /* replaced on disk since, by an upgrade for instance */
	bool executable;    /* at least one of the mappings is */
	char *path;	    /* as that process sees it; "[vdso]" */
};

struct maps {
	struct mapped *list; /* by address */
	unsigned count;
};

/* -1 with errno. */
int maps_read(pid_t pid, struct maps *out);
void maps_free(struct maps *maps);

/* NULL: no file is mapped there. */
const struct mapped *maps_find(const struct maps *maps, uint64_t address);

/* The file as that process sees it, in its root directory; -1 with errno. */
int maps_open(pid_t pid, const struct mapped *mapped);

#endif
