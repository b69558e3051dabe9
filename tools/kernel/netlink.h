/* SPDX-License-Identifier: Apache-2.0 */
/* One question to sock_diag and its answers. */
#ifndef TOOLS_KERNEL_NETLINK_H
#define TOOLS_KERNEL_NETLINK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tlstall/look.h"

struct diag_query {
	uint8_t family;		      /* AF_INET, AF_INET6, AF_UNIX */
	uint8_t protocol;	      /* IPPROTO_TCP, IPPROTO_UDP; AF_UNIX: 0 */
	struct tlstall_address local; /* family 0: any */
	struct tlstall_address peer;  /* its port narrows the answers; family 0: any */
	uint64_t inode;		      /* AF_UNIX: which */
};

struct diag_answer {
	uint64_t inode;
	struct tlstall_address local;
	struct tlstall_address peer;
	struct tlstall_socket socket;
	struct tlstall_tcp tcp;
};

/* A netlink socket in the network namespace of that process; -1: not permitted. */
int diag_open(pid_t pid);

/*
 * Calls `each` for every socket that matches. With both addresses of a TCP connection the kernel
 * looks it up, otherwise it walks its tables. -1 with errno.
 */
int diag_ask(int netlink, const struct diag_query *query,
	     void (*each)(const struct diag_answer *answer, void *context), void *context);

#endif
