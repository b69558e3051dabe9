/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/pool.h"

#include <stdlib.h>

/* Looks at so many handshakes on each side, not at all: in a pool, the threads take turns. */
#define ASKED 64

static struct serving serving_of(const struct tlstall_handshake *h)
{
	return (struct serving){.start = h->start,
				.tid = h->tid,
				.process = (uint16_t)h->process,
				.port = h->local.family ? h->local.port : 0};
}

bool pool_add(struct pool *pool, const struct tlstall_handshake *h)
{
	if (h->role != TLSTALL_ROLE_SERVER || h->outcome != TLSTALL_OUTCOME_OK)
		return true;
	/* grows at each power of two */
	if (!(pool->count & (pool->count - 1))) {
		size_t room = pool->count ? 2 * pool->count : 1;
		struct serving *list = reallocarray(pool->list, room, sizeof(*list));

		if (!list)
			return false;
		pool->list = list;
	}
	pool->list[pool->count++] = serving_of(h);
	return true;
}

static int compare_start(const void *a, const void *b)
{
	const struct serving *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

void pool_sort(struct pool *pool)
{
	if (pool->count)
		qsort(pool->list, pool->count, sizeof(*pool->list), compare_start);
}

void pool_free(struct pool *pool)
{
	free(pool->list);
}

static bool is_other(const struct serving *one, const struct serving *of)
{
	bool elsewhere = one->port && of->port && one->port != of->port;

	return !elsewhere && (one->tid != of->tid || one->process != of->process);
}

/* The first that began after that time. */
static size_t find(const struct pool *pool, uint64_t start)
{
	size_t low = 0, high = pool->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (pool->list[middle].start <= start)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool pool_has_others(const struct pool *pool, const struct tlstall_handshake *h)
{
	const struct serving own = serving_of(h);
	size_t middle = find(pool, h->start);
	size_t at = middle > ASKED ? middle - ASKED : 0;

	for (; at < pool->count && at < middle + ASKED; at++) {
		if (is_other(&pool->list[at], &own))
			return true;
	}
	return false;
}
