/* SPDX-License-Identifier: Apache-2.0 */
/* Processes of this host, by id or by name. */
#ifndef TOOLS_LIVE_NAMED_H
#define TOOLS_LIVE_NAMED_H

#include <sys/types.h>

struct named {
	pid_t *list; /* by id */
	unsigned count;
};

/*
 * The processes that `text` names: an id, or the name of a command or of its file; NULL: all.
 * Leaves out tlstall itself. -1: out of memory.
 */
int named_find(const char *text, struct named *out);
void named_free(struct named *named);

#endif
