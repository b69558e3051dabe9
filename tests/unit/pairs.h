/* SPDX-License-Identifier: Apache-2.0 */
/* Connected sockets of this process, and a handshake on one of them. */
#ifndef TESTS_UNIT_PAIRS_H
#define TESTS_UNIT_PAIRS_H

#include <stddef.h>
#include <sys/socket.h>

#include "kernel/kernel.h"
#include "tlstall/trace.h"

struct pair {
	int one, other;
	struct tlstall_handshake h; /* of `one` */
};

void take_address(const struct sockaddr_storage *storage, struct tlstall_address *out);
/* Fills in `h`: the address of the peer of `one`. */
void describe(struct pair *pair);
int listen_on(const struct sockaddr *address, socklen_t size);
/* Connects to that listener, and closes it. */
void connect_to(struct pair *pair, int listener, const struct sockaddr_storage *address,
		socklen_t size);
/* Over loopback. */
void tcp_pair(struct pair *pair, int family);
void close_pair(struct pair *pair);
/* As another process would look at `one`. */
void look_at_pair(const struct pair *pair, struct kernel_view *out);
void send_bytes(int fd, size_t count);

#endif
