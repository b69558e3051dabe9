/* SPDX-License-Identifier: Apache-2.0 */
/* A hash for tables whose keys come from peers and traces: nobody can choose keys that meet. */
#ifndef TOOLS_HASH_H
#define TOOLS_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Another number in each run of the program. The low bits are as good as the others; 61 are used. */
uint64_t hash_of(const void *bytes, size_t size);

#endif
