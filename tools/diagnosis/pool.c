/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/pool.h"

#include <stdlib.h>

static uint16_t port_of(const struct tlstall_handshake *h)
{
	return h->local.port;
}

static void add_port(struct pool *pool, const struct serving *one)
{
	for (unsigned i = 0; i < pool->port_count; i++) {
		if (pool->ports[i].port != one->port)
			continue;
		pool->ports[i].several |= pool->ports[i].process != one->process;
		return;
	}
	if (pool->port_count < POOL_PORTS)
		pool->ports[pool->port_count++] = (struct pool_port){one->port, one->process, false};
}

bool pool_add(struct pool *pool, const struct tlstall_handshake *h)
{
	struct serving one = {h->end, (uint16_t)h->process, port_of(h)};

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
	pool->list[pool->count++] = one;
	add_port(pool, &one);
	return true;
}

static int compare(const void *a, const void *b)
{
	const struct serving *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

void pool_sort(struct pool *pool)
{
	if (pool->count)
		qsort(pool->list, pool->count, sizeof(*pool->list), compare);
}

void pool_free(struct pool *pool)
{
	free(pool->list);
}

/* How many come before this one, or are the same. */
static size_t rank(const struct pool *pool, struct serving one)
{
	size_t low = 0, high = pool->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(&pool->list[middle], &one) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/*
 * The thread of a handshake is the last that used the object, which may be another one by now. So the
 * handshakes are counted: those that ended in the process before this one began are more than its
 * thread had ended, or some ended while it held its thread up.
 */
bool pool_has_others(const struct pool *pool, const struct tlstall_handshake *h)
{
	uint16_t port = port_of(h), process = (uint16_t)h->process;
	uint64_t end = h->end ? h->end : UINT64_MAX;
	size_t before = 0, meanwhile = 0, own = h->outcome == TLSTALL_OUTCOME_OK;

	for (unsigned i = 0; i < pool->port_count; i++) {
		const struct pool_port *at = &pool->ports[i];
		size_t begin;

		if (port && at->port && at->port != port)
			continue;
		if (at->several || at->process != process)
			return true;
		begin = rank(pool, (struct serving){h->start, process, at->port});
		before += begin - rank(pool, (struct serving){0, process, at->port});
		meanwhile += rank(pool, (struct serving){end, process, at->port}) - begin;
	}
	return before > h->thread_handshakes || meanwhile > own;
}
