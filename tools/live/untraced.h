/* SPDX-License-Identifier: Apache-2.0 */
/* Processes that run without the shim, shown among traced ones. */
#ifndef TOOLS_LIVE_UNTRACED_H
#define TOOLS_LIVE_UNTRACED_H

#include "live/collect.h"

/*
 * Adds the handshakes of `live->pid`, or of all processes, if they are not traced and may be
 * inspected; others are left out. `find`: live_find(). -1: out of memory.
 */
int untraced_add(struct live *live, struct live_file *(*find)(const struct live *, pid_t));
/* Lets go what the subjects belonged to. */
void untraced_free(struct live *live);

#endif
