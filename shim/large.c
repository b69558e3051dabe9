/* SPDX-License-Identifier: Apache-2.0 */
#include "large.h"

/* Not on the stack, which may be small in a thread. Only one thread at a time makes a trace. */
LARGE char large_path[PATH_MAX + 96];
