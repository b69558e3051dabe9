/* SPDX-License-Identifier: Apache-2.0 */
/* Attaches the shim to a running process, and detaches it. */
#ifndef TOOLS_ATTACH_ATTACH_H
#define TOOLS_ATTACH_ATTACH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tlstall/attach.h"

struct attach {
	pid_t pid;
	bool force;	  /* a seccomp filter is no reason to refuse */
	const char *shim; /* its file */
	/* where to put the trace; NULL: a directory is created */
	const char *directory;
	struct tlstall_adopted adopted[TLSTALL_ATTACH_ADOPTED]; /* handshakes that are in flight */
	unsigned adopted_count;
	uint64_t adopted_ns; /* CLOCK_MONOTONIC: when they were found */

	/* what came of it */
	char place[PATH_MAX + 32]; /* of the trace, as we see it */
	char seen[TLSTALL_ATTACH_DIRECTORY]; /* the same, as the process sees it */
	bool made;		   /* it was made for this */
	int top, own; /* descriptors of the directory in which it was made, and of it; if made */
	uint64_t stopped_ns;	   /* for how long a thread was stopped */
	uint32_t slots;
};

/* Checks whether it can be done. Returns 0, or -1 and a sentence without a full stop. */
int attach_check(const struct attach *attach, char *why, size_t size);
/* Creates the directory of the trace, and removes it. */
int attach_prepare(struct attach *attach, char *why, size_t size);
void attach_clear(const struct attach *attach);
int attach_begin(struct attach *attach, char *why, size_t size);
/* Detaches. The trace stays where it is: `place`, as that process sees it. */
int attach_end(struct attach *attach, char *why, size_t size);
/* Whether a running tool will remove that place, or has removed it. */
bool attach_is_watched(const struct attach *attach);

#endif
