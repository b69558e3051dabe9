/* SPDX-License-Identifier: Apache-2.0 */
#include "large.h"

/* Not on the stack: that of a program's thread may be small. Makers come one at a time. */
LARGE char large_path[PATH_MAX + 96];
