/* SPDX-License-Identifier: Apache-2.0 */
/* What the child may ask of the kernel. */
#ifndef TOOLS_LOOK_SECCOMP_H
#define TOOLS_LOOK_SECCOMP_H

#include <linux/filter.h>
#include <stdint.h>

/* Fills `out`, which has room for STUB_FILTER; returns how many. */
unsigned filter_make(struct sock_filter *out, uint64_t page);

#endif
