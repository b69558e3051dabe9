/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All TCP sockets of a network, kept for many looks a moment apart: without addresses the kernel
 * walks its whole table for one socket, which takes a millisecond or more.
 */
#ifndef TOOLS_KERNEL_DUMP_H
#define TOOLS_KERNEL_DUMP_H

#include "kernel/netlink.h"

struct dump;

/* Between these two, dumps are kept. */
void dumps_begin(void);
void dumps_end(void);
/* The next look is at a handshake that moved so long ago: an older dump would contradict it. */
void dumps_not_older(uint64_t than_ns);

/* Sockets of that family in the network of that process; NULL: none are kept, or not permitted. */
const struct dump *dump_of(pid_t pid, uint8_t family);
/* NULL: there is no such socket. */
const struct diag_answer *dump_find(const struct dump *dump, uint64_t inode);

#endif
