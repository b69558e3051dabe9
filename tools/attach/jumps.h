/* SPDX-License-Identifier: Apache-2.0 */
/* The jumps to the shim at the functions of an OpenSSL inside the program. */
#ifndef TOOLS_ATTACH_JUMPS_H
#define TOOLS_ATTACH_JUMPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/program.h"

/*
 * Writes those that the shim has prepared (`in`), or the original code, while all threads are
 * stopped. All of them or none. Returns 0, or -1 and a sentence without a full stop.
 */
int jumps_write(const struct program *program, bool in, uint64_t *stopped_ns, char *why,
		size_t size);

#endif
