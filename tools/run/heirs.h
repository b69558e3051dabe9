/* SPDX-License-Identifier: Apache-2.0 */
/* Children that outlive the program. */
#ifndef TOOLS_RUN_HEIRS_H
#define TOOLS_RUN_HEIRS_H

#include <stdbool.h>

/*
 * Whether a process with this trace directory is alive. Its parent has ended, so only its
 * environment shows where it belongs.
 */
bool heirs_live(const char *directory);

#endif
