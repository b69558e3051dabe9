/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the child in which the stub runs: see stub.h and sandbox.h. */
#ifndef TOOLS_LOOK_CHILD_H
#define TOOLS_LOOK_CHILD_H

#include <sys/types.h>

#include "look/regions.h"

#define CHILD_MEMORY (256u << 20)
#define CHILD_CPU_S 5

/*
 * Returns its id; `channel` is the tool's end of its only descriptor. The addresses of `regions`
 * are left free in it. -1 with errno. A child that cannot be sandboxed exits silently.
 */
pid_t stub_start(pid_t pid, const struct regions *regions, int *channel);

#endif
