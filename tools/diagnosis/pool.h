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
	uint64_t start; /* ticks */
	uint32_t tid;
	uint16_t process, port; /* 0: not known */
};

struct pool {
	struct serving *list; /* by start, once sorted */
	size_t count;
};

bool pool_add(struct pool *pool, const struct tlstall_handshake *h); /* false: no memory */
void pool_sort(struct pool *pool);
void pool_free(struct pool *pool);

/* Another thread than this handshake's has served a client of the same port. */
bool pool_has_others(const struct pool *pool, const struct tlstall_handshake *h);

#endif
