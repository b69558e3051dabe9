/* SPDX-License-Identifier: Apache-2.0 */
/* The threads and processes that serve one port together. */
#ifndef TOOLS_DIAGNOSIS_POOL_H
#define TOOLS_DIAGNOSIS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

/* A server's handshake that ended well. */
struct serving {
	uint64_t end; /* ticks */
	uint16_t process, port; /* 0: not known */
};

/* Ports that are told apart; more are not looked at. */
#define POOL_PORTS 16

struct pool {
	struct serving *list; /* by process, port and end, once sorted */
	size_t count;
	struct pool_port {
		uint16_t port, process; /* the first process that served it */
		bool several;		/* others did, too */
	} ports[POOL_PORTS];
	unsigned port_count;
};

bool pool_add(struct pool *pool, const struct tlstall_handshake *h); /* false: no memory */
void pool_sort(struct pool *pool);
void pool_free(struct pool *pool);

/* Other threads than this handshake's serve clients of the same port. */
bool pool_has_others(const struct pool *pool, const struct tlstall_handshake *h);

#endif
