/* SPDX-License-Identifier: Apache-2.0 */
/* The socket of a handshake, by sock_diag; its owner notices nothing. */
#ifndef TOOLS_KERNEL_SOCKET_H
#define TOOLS_KERNEL_SOCKET_H

#include "kernel/kernel.h"

/*
 * Fills `socket` and `peer`; returns the descriptor, -1: not known. Where the
 * trace names none (a memory BIO, one of the program's own), the only TCP connection of the
 * process that can have carried the handshake's bytes is taken; of several, none.
 */
int socket_look(pid_t pid, const struct tlstall_handshake *h, struct kernel_view *out);

/* What that socket's descriptor is by now; `inode` 0: not known. */
enum tlstall_descriptor socket_descriptor(pid_t pid, int fd, uint64_t inode);

#endif
