/* SPDX-License-Identifier: Apache-2.0 */
/* Who a process is, and becoming that. */
#ifndef TOOLS_LOOK_CREDENTIALS_H
#define TOOLS_LOOK_CREDENTIALS_H

#include <sys/types.h>

#define CREDENTIALS_GROUPS 64

struct credentials {
	uid_t uid;
	gid_t gid;
	gid_t groups[CREDENTIALS_GROUPS];
	unsigned group_count;
};

/* The effective ones of that process. -1 with errno. */
int credentials_read(pid_t pid, struct credentials *out);

/*
 * Takes them on permanently, without any capability. -1: failed, and the caller must not go on.
 * Allocates nothing.
 */
int credentials_become(const struct credentials *credentials);

#endif
