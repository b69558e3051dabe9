/* SPDX-License-Identifier: Apache-2.0 */
/* What the other handshakes of a trace tell of one: read once, asked often. */
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "judge.h"

#define EDGE_TICKS 65536u /* more than the rounding of a float duration */

struct peer {
	struct tlstall_address address; /* family 0: a free entry */
	uint32_t ok, stalled;
};

/* One op: which thread worked on which object when it returned. */
struct op {
	uint64_t end;
	uint64_t ssl;
	uint32_t tid;
	uint16_t process;
};

struct neighbours {
	struct peer *peers; /* hashed by address */
	size_t peer_count, peer_room;
	struct op *ops;
	size_t op_count;
};

static int compare_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tlstall_address));
}

static int compare_op(const void *a, const void *b)
{
	const struct op *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

/* Of clients the peer's port is another each time: they are one peer by their address. */
static struct tlstall_address peer_of(const struct tlstall_handshake *h)
{
	struct tlstall_address address = h->peer;

	if (h->role == TLSTALL_ROLE_SERVER)
		address.port = 0;
	return address;
}

static bool grow(void **array, size_t count, size_t size)
{
	void *bigger;

	/* at each power of two */
	if (count & (count - 1))
		return true;
	bigger = realloc(*array, (count ? 2 * count : 1) * size);
	if (bigger)
		*array = bigger;
	return bigger;
}

/* The entry of an address, or the free one where it belongs. */
static struct peer *find_peer(const struct neighbours *n, const struct tlstall_address *address)
{
	const unsigned char *bytes = (const unsigned char *)address;
	uint32_t hash = 2166136261u; /* FNV-1a */
	size_t at;

	for (size_t i = 0; i < sizeof(*address); i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	at = hash & (n->peer_room - 1);
	while (n->peers[at].address.family && compare_address(&n->peers[at].address, address))
		at = (at + 1) & (n->peer_room - 1);
	return &n->peers[at];
}

/* Keeps half of the table free. */
static bool grow_peers(struct neighbours *n)
{
	struct neighbours bigger = {.peer_room = n->peer_room ? 2 * n->peer_room : 64};

	if (2 * n->peer_count < n->peer_room)
		return true;
	bigger.peers = calloc(bigger.peer_room, sizeof(*bigger.peers));
	if (!bigger.peers)
		return false;
	for (size_t i = 0; i < n->peer_room; i++) {
		if (n->peers[i].address.family)
			*find_peer(&bigger, &n->peers[i].address) = n->peers[i];
	}
	free(n->peers);
	n->peers = bigger.peers;
	n->peer_room = bigger.peer_room;
	return true;
}

static bool add_peer(struct trace *trace, struct neighbours *n, const struct tlstall_handshake *h)
{
	uint64_t end = h->end ? h->end : trace_horizon(trace, h->process);
	bool ok = h->outcome == TLSTALL_OUTCOME_OK;
	bool stalled = h->outcome == TLSTALL_OUTCOME_FAILED ||
		       (!ok && trace_span_ns(trace, end - h->start) >= STALL_NS);
	const struct tlstall_address address = peer_of(h);
	struct peer *peer;

	if (!address.family)
		return true;
	if (!grow_peers(n))
		return false;
	peer = find_peer(n, &address);
	n->peer_count += !peer->address.family;
	peer->address = address;
	peer->ok += ok;
	peer->stalled += stalled;
	return true;
}

static int read_peers(struct trace *trace, struct neighbours *n)
{
	struct tlstall_handshake h;

	for (unsigned i = 0; i < trace_slot_count(trace); i++) {
		if (!trace_handshake(trace, i, &h) && !add_peer(trace, n, &h))
			return TRACE_ERROR_MEMORY;
	}
	return 0;
}

/* As the cursor gives them where there is a single thread. */
static bool in_order(const struct neighbours *n)
{
	for (size_t i = 1; i < n->op_count; i++) {
		if (compare_op(&n->ops[i - 1], &n->ops[i]) > 0)
			return false;
	}
	return true;
}

static int read_ops(struct trace *trace, struct neighbours *n)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	int error = trace_cursor_open(trace, &cursor);

	if (error)
		return error;
	while (!error && !trace_cursor_next(cursor, &event)) {
		if (event.type != TLSTALL_EVENT_CALL)
			continue;
		if (!grow((void **)&n->ops, n->op_count, sizeof(*n->ops)))
			error = TRACE_ERROR_MEMORY;
		else
			n->ops[n->op_count++] = (struct op){.end = trace_event_end(&event),
							    .ssl = event.ssl,
							    .tid = event.tid,
							    .process = event.process};
	}
	trace_cursor_close(cursor);
	if (!in_order(n))
		qsort(n->ops, n->op_count, sizeof(*n->ops), compare_op);
	return error;
}

int neighbours_read(struct trace *trace, struct neighbours **out)
{
	struct neighbours *n = calloc(1, sizeof(*n));
	int error = n ? read_peers(trace, n) : TRACE_ERROR_MEMORY;

	if (!error)
		error = read_ops(trace, n);
	*out = n;
	if (error) {
		neighbours_free(n);
		*out = NULL;
	}
	return error;
}

void neighbours_free(struct neighbours *n)
{
	if (!n)
		return;
	free(n->peers);
	free(n->ops);
	free(n);
}

/* The first op that is not before `key`. */
static size_t find_op(const struct neighbours *n, const struct op *key)
{
	size_t low = 0, high = n->op_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_op(&n->ops[middle], key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The longest gap, or the one that is still open if that is longer. */
static void find_gap(const struct facts *facts, uint64_t *from, uint64_t *to)
{
	const struct tlstall_handshake *h = &facts->h;

	*from = h->longest_gap_start;
	*to = *from + h->longest_gap;
	if (facts->idle_ns > facts->longest_gap_ns) {
		*from = h->leave;
		*to = h->end ? h->end : UINT64_MAX;
	}
}

/* How many of ops[first..last) are on `ssl`. */
static size_t count_own(const struct neighbours *n, size_t first, size_t last, uint64_t ssl)
{
	size_t own = 0;

	for (; first < last; first++)
		own += n->ops[first].ssl == ssl;
	return own;
}

/*
 * Within a gap no op is our own, so all that ended in it are others': only close
 * to its edges, where ends are rounded, one of ours may lie.
 */
static uint32_t count_ops(const struct neighbours *n, const struct facts *facts)
{
	const struct tlstall_handshake *h = &facts->h;
	struct op key = {.tid = h->tid, .process = (uint16_t)h->process};
	uint64_t from, to;
	size_t first, last, inner, outer;

	find_gap(facts, &from, &to);
	key.end = from;
	first = find_op(n, &key);
	key.end = from + EDGE_TICKS;
	inner = find_op(n, &key);
	key.end = to > EDGE_TICKS ? to - EDGE_TICKS : 0;
	outer = find_op(n, &key);
	key.end = to < UINT64_MAX ? to + 1 : to;
	last = find_op(n, &key);
	if (first >= last)
		return 0;
	if (inner >= outer)
		return (uint32_t)(last - first - count_own(n, first, last, h->ssl));
	return (uint32_t)(last - first - count_own(n, first, inner, h->ssl) -
			  count_own(n, outer, last, h->ssl));
}

void neighbours_add(const struct neighbours *n, struct facts *facts)
{
	const struct tlstall_address address = peer_of(&facts->h);
	const struct peer *peer = n->peer_count && address.family ? find_peer(n, &address) : NULL;
	bool ok = facts->h.outcome == TLSTALL_OUTCOME_OK;
	bool stalled =
		facts->h.outcome == TLSTALL_OUTCOME_FAILED || (!ok && facts->age_ns >= STALL_NS);

	/* itself is among them */
	facts->peers_ok = peer && peer->ok >= ok ? peer->ok - ok : 0;
	facts->peers_stalled = peer && peer->stalled >= stalled ? peer->stalled - stalled : 0;
	facts->thread_other_ops = count_ops(n, facts);
}

void facts_add_neighbours(struct trace *trace, struct facts *facts)
{
	struct neighbours *neighbours;

	if (neighbours_read(trace, &neighbours))
		return;
	neighbours_add(neighbours, facts);
	neighbours_free(neighbours);
}
