/* SPDX-License-Identifier: Apache-2.0 */
/* Children that outlive the program. */
#ifndef TOOLS_RUN_HEIRS_H
#define TOOLS_RUN_HEIRS_H

#include <stdbool.h>

/*
 * Whether a process lives that was started with this trace directory. Their
 * parent is gone: nothing but their environment tells whose they are.
 */
bool heirs_live(const char *directory);

#endif
