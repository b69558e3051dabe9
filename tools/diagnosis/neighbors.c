/* SPDX-License-Identifier: Apache-2.0 */
/* What the other handshakes of a trace show about one. Read once, used often. */
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "diagnosis/ops.h"
#include "diagnosis/pool.h"
#include "hash.h"
#include "judge.h"

#define EDGE_TICKS 65536u /* more than a float duration is rounded by */

struct peer {
	struct tlstall_address address; /* family 0: a free entry */
	uint32_t ok, stalled;
};

/* A finished handshake and its socket, known by inode or by descriptor. */
struct owner {
	uint64_t key, ssl, end, freed, bytes_in, bytes_out;
	uint32_t process;
};

/* A handshake's longest gap, if it is long enough to matter. */
struct wait {
	uint64_t from, to;
	uint64_t latest; /* latest end of those up to here in this thread */
	uint32_t tid;
	uint16_t process;
};

/* Waits whose latest end is known without looking at each of them. */
#define BLOCK 64u

struct neighbors {
	struct peer *peers; /* hashed by address */
	size_t peer_count, peer_room;
	struct ops ops;
	struct pool pool;
	struct wait *waits; /* sorted by process, thread, start */
	size_t wait_count;
	uint64_t *latest_ends; /* of each block of waits */
	struct owner *owners; /* sorted by key and end */
	size_t owner_count;
	double ticks_per_ms;
};

static int compare_address(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tlstall_address));
}

/* A client uses a new port for each connection: its address alone identifies it. */
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

	/* grows at each power of two */
	if (count & (count - 1))
		return true;
	bigger = realloc(*array, (count ? 2 * count : 1) * size);
	if (bigger)
		*array = bigger;
	return bigger;
}

/* The entry of that address, or the free one where it belongs. */
static struct peer *find_peer(const struct neighbors *n, const struct tlstall_address *address)
{
	size_t at = hash_of(address, sizeof(*address)) & (n->peer_room - 1);

	while (n->peers[at].address.family && compare_address(&n->peers[at].address, address))
		at = (at + 1) & (n->peer_room - 1);
	return &n->peers[at];
}

/* Keeps half of the table free. */
static bool grow_peers(struct neighbors *n)
{
	struct neighbors bigger = {.peer_room = n->peer_room ? 2 * n->peer_room : 64};

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

static bool add_peer(struct trace *trace, struct neighbors *n, const struct tlstall_handshake *h)
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

/* The longest gap, or the open one if that is longer. */
static struct wait longest_wait(struct trace *trace, const struct tlstall_handshake *h)
{
	struct wait wait = {.from = h->longest_gap_start,
			    .to = h->longest_gap_start + h->longest_gap,
			    .tid = h->tid,
			    .process = (uint16_t)h->process};
	uint64_t end = h->end ? h->end : trace_horizon(trace, h->process);

	if (!h->enter && h->outcome != TLSTALL_OUTCOME_OK && h->leave && end > h->leave &&
	    end - h->leave > h->longest_gap) {
		wait.from = h->leave;
		wait.to = end;
	}
	return wait;
}

static bool add_wait(struct trace *trace, struct neighbors *n, const struct tlstall_handshake *h)
{
	struct wait wait = longest_wait(trace, h);

	if (wait.to <= wait.from || trace_span_ns(trace, wait.to - wait.from) < STALL_NS)
		return true;
	if (!grow((void **)&n->waits, n->wait_count, sizeof(*n->waits)))
		return false;
	n->waits[n->wait_count++] = wait;
	return true;
}

/* A summary has no inode, only a descriptor number. This bit sorts it after all inodes. */
#define BY_DESCRIPTOR (1ull << 63)

static uint64_t socket_key(const struct tlstall_handshake *h, bool summary)
{
	if (!summary)
		return h->socket_inode;
	return h->read.fd >= 0 && tlstall_has_descriptor(&h->read)
		       ? BY_DESCRIPTOR | (uint32_t)h->read.fd
		       : 0;
}

static bool add_owner(struct neighbors *n, const struct tlstall_handshake *h)
{
	uint64_t key = socket_key(h, h->flags & TLSTALL_HS_COMPACT);

	/* one datagram socket may serve many peers */
	if (h->outcome != TLSTALL_OUTCOME_OK || !key || h->read.bio_class == TLSTALL_BIO_DATAGRAM)
		return true;
	if (!grow((void **)&n->owners, n->owner_count, sizeof(*n->owners)))
		return false;
	n->owners[n->owner_count++] = (struct owner){.key = key,
						     .ssl = h->ssl,
						     .end = h->end,
						     .freed = h->freed,
						     .bytes_in = h->bytes_in,
						     .bytes_out = h->bytes_out,
						     .process = h->process};
	return true;
}

static int compare_owner(const void *a, const void *b)
{
	const struct owner *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int compare_wait(const void *a, const void *b)
{
	const struct wait *x = a, *y = b;

	if (x->process != y->process)
		return x->process < y->process ? -1 : 1;
	if (x->tid != y->tid)
		return x->tid < y->tid ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static bool sort_waits(struct neighbors *n)
{
	n->latest_ends = calloc(n->wait_count / BLOCK + 1, sizeof(*n->latest_ends));
	if (!n->latest_ends)
		return false;
	if (n->wait_count)
		qsort(n->waits, n->wait_count, sizeof(*n->waits), compare_wait);
	for (size_t i = 0; i < n->wait_count; i++) {
		struct wait *wait = &n->waits[i];
		const struct wait *before = i ? wait - 1 : wait;
		uint64_t *latest_end = &n->latest_ends[i / BLOCK];

		if (*latest_end < wait->to)
			*latest_end = wait->to;
		wait->latest = wait->to;
		if (before->process == wait->process && before->tid == wait->tid &&
		    before->latest > wait->latest)
			wait->latest = before->latest;
	}
	return true;
}

static int read_slots(struct trace *trace, struct neighbors *n)
{
	const uint64_t many = 1000000000;
	struct tlstall_handshake h;

	n->ticks_per_ms = (double)many / ((double)trace_span_ns(trace, many) / (double)MS);
	for (unsigned i = 0; i < trace_slot_count(trace); i++) {
		int result = trace_handshake(trace, i, &h);

		if (result < 0)
			return result;
		if (!result &&
		    (!add_peer(trace, n, &h) || !add_wait(trace, n, &h) || !add_owner(n, &h) ||
		     !pool_add(&n->pool, &h)))
			return TRACE_ERROR_MEMORY;
	}
	pool_sort(&n->pool);
	if (n->owner_count)
		qsort(n->owners, n->owner_count, sizeof(*n->owners), compare_owner);
	return sort_waits(n) ? 0 : TRACE_ERROR_MEMORY;
}

int neighbors_read(struct trace *trace, struct neighbors **out)
{
	struct neighbors *n = calloc(1, sizeof(*n));
	int error = n ? read_slots(trace, n) : TRACE_ERROR_MEMORY;

	if (!error)
		error = ops_read(trace, &n->ops);
	*out = n;
	if (error) {
		neighbors_free(n);
		*out = NULL;
	}
	return error;
}

void neighbors_free(struct neighbors *n)
{
	if (!n)
		return;
	free(n->peers);
	ops_free(&n->ops);
	pool_free(&n->pool);
	free(n->waits);
	free(n->latest_ends);
	free(n->owners);
	free(n);
}

/* The longest gap, or the one that is still open if that is longer. */
static void find_gap(const struct tlstall_handshake *h, const struct facts *facts, uint64_t *from,
		     uint64_t *to)
{
	*from = h->longest_gap_start;
	*to = *from + h->longest_gap;
	if (facts->idle_ns > facts->longest_gap_ns) {
		*from = h->leave;
		*to = h->end ? h->end : UINT64_MAX;
	}
}

/*
 * Within its gap, this handshake has no op: all ops there belong to others. Near the edges, where
 * times are rounded, its own must be subtracted.
 */
static uint32_t count_ops(const struct neighbors *n, const struct tlstall_handshake *h,
			  const struct facts *facts)
{
	uint64_t from, to;
	size_t first, last, inner, outer;

	find_gap(h, facts, &from, &to);
	first = ops_find(&n->ops, h, from);
	last = ops_find_after(&n->ops, first, h, to < UINT64_MAX ? to + 1 : to);
	if (first >= last)
		return 0;
	inner = ops_find_after(&n->ops, first, h, from + EDGE_TICKS);
	outer = ops_find(&n->ops, h, to > EDGE_TICKS ? to - EDGE_TICKS : 0);
	if (inner >= outer)
		return (uint32_t)(last - first - ops_on(&n->ops, first, last, h->ssl));
	return (uint32_t)(last - first - ops_on(&n->ops, first, inner, h->ssl) -
			  ops_on(&n->ops, outer, last, h->ssl));
}

/* Enough to show that there were many. */
#define WAITERS_MOST 4096

/* The first wait that started later than `key`, or that belongs to a later thread. */
static size_t find_wait(const struct neighbors *n, const struct wait *key)
{
	size_t low = 0, high = n->wait_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_wait(&n->waits[middle], key) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint32_t count_waiters(const struct neighbors *n, const struct wait *hole)
{
	const struct wait before = {.tid = hole->tid, .process = hole->process};
	size_t first = find_wait(n, &before), i = find_wait(n, hole);
	uint32_t count = 0;

	while (i > first && count < WAITERS_MOST && n->waits[i - 1].latest >= hole->to) {
		if (i % BLOCK == 0 && i - first >= BLOCK && n->latest_ends[i / BLOCK - 1] < hole->to) {
			i -= BLOCK;
			continue;
		}
		i--;
		count += n->waits[i].to >= hole->to;
	}
	return count;
}

/*
 * Two are enough: the first reports that the socket is ready; by the second, it should be served.
 */
#define POLLS_MOST 2

/* A damaged trace may give any value, or none. */
static uint64_t whole(double value)
{
	if (!(value > 0))
		return 0;
	return value < 0x1p63 ? (uint64_t)value : (uint64_t)INT64_MAX;
}

static uint64_t to_ns(const struct neighbors *n, uint64_t ticks)
{
	return whole((double)ticks / n->ticks_per_ms * (double)MS);
}

static uint64_t to_ticks(const struct neighbors *n, uint64_t ns)
{
	return whole((double)ns / (double)MS * n->ticks_per_ms);
}

/* How long the socket had been ready when the gap ended, or until now. */
static uint64_t ready_ticks(const struct neighbors *n, const struct facts *facts, bool open)
{
	uint64_t ms = open ? open_gap_ready(facts) / MS : facts->longest_gap_ready_ms;

	return whole((double)ms * n->ticks_per_ms);
}

static void add_hole(const struct neighbors *n, const struct tlstall_handshake *h,
		     struct facts *facts)
{
	bool open = facts->idle_ns > facts->longest_gap_ns;
	struct wait hole = {.tid = h->tid, .process = (uint16_t)h->process};
	uint64_t ready = ready_ticks(n, facts, open);
	struct span gap;
	size_t first, last;

	find_gap(h, facts, &gap.from, &gap.to);
	if (open && !h->end)
		gap.to = h->leave + to_ticks(n, facts->idle_ns);
	if (ready && gap.to - gap.from > ready)
		gap.from = gap.to - ready;
	first = ops_find(&n->ops, h, gap.from);
	last = gap.to > gap.from ? ops_find_after(&n->ops, first, h, gap.to) : first;
	facts->others.polls = ops_polls(&n->ops, first, last, gap.from, POLLS_MOST);
	gap = ops_hole(&n->ops, first, last, gap);
	facts->others.hole_ns = to_ns(n, gap.to - gap.from) / MS * MS;
	hole.from = gap.from;
	hole.to = gap.to;
	facts->others.hole_waiters = count_waiters(n, &hole);
	/* this handshake is one of them */
	facts->others.hole_waiters -= facts->others.hole_waiters > 0;
}

/* From the peer's first byte, or the first op, to the end of the handshake. */
static void add_window(const struct neighbors *n, const struct tlstall_handshake *h,
		       struct facts *facts)
{
	uint64_t lay = h->at_start.ticks && h->at_start.bytes_received
			       ? whole(h->at_start.last_data_recv_ms * n->ticks_per_ms)
			       : 0;
	uint64_t from = h->start > lay ? h->start - lay : 0, to = h->end;
	const struct op *op = n->ops.list;
	struct span rest;
	size_t first, last;

	if (!to)
		to = h->leave + to_ticks(n, facts->idle_ns);
	if (to <= from)
		return;
	facts->others.window_ns = to_ns(n, to - from);
	first = ops_find(&n->ops, h, from);
	last = ops_find_after(&n->ops, first, h, to);
	if (last <= first + 1)
		return;
	rest = ops_hole(&n->ops, first, last, (struct span){from, to});
	facts->others.rest_ns = to_ns(n, rest.to - rest.from);
	facts->others.busy_ns = to_ns(n, op[last - 1].busy - op[first].busy);
	facts->others.window_handshakes = op[last - 1].ended - op[first].ended;
}

/* Looks at so many recent handshakes on a socket, not at earlier ones. */
#define OWNERS_ASKED 16

static const struct owner *find_owner(const struct neighbors *n, const struct tlstall_handshake *h,
				      uint64_t key)
{
	const struct owner wanted = {.key = key, .end = h->start};
	size_t low = 0, high = key ? n->owner_count : 0;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_owner(&n->owners[middle], &wanted) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (unsigned i = 0; i < OWNERS_ASKED && low-- && n->owners[low].key == key; i++) {
		const struct owner *at = &n->owners[low];

		if (at->ssl != h->ssl && at->process == h->process &&
		    (!at->freed || at->freed > h->start))
			return at;
	}
	return NULL;
}

/*
 * A descriptor number may have been reused. Only if the socket had carried that handshake's bytes
 * is it the same connection.
 */
static bool carried(const struct tlstall_handshake *h, const struct owner *owner)
{
	const struct tlstall_socket *start = &h->at_start;
	uint32_t unacked = start->outq == UINT32_MAX ? 0 : start->outq;

	return start->ticks && owner->bytes_in && owner->bytes_out &&
	       start->bytes_received >= owner->bytes_in &&
	       start->bytes_acked + unacked >= owner->bytes_out;
}

static void add_same_socket(const struct neighbors *n, const struct tlstall_handshake *h,
			    struct neighborhood *out)
{
	const struct owner *owner;

	if (h->read.bio_class == TLSTALL_BIO_DATAGRAM)
		return;
	out->same_socket = find_owner(n, h, socket_key(h, false));
	owner = out->same_socket ? NULL : find_owner(n, h, socket_key(h, true));
	out->same_descriptor = owner && carried(h, owner);
}

void neighbors_add(const struct neighbors *n, const struct tlstall_handshake *h,
		    struct facts *facts)
{
	const struct tlstall_address address = peer_of(h);
	const struct peer *peer = n->peer_count && address.family ? find_peer(n, &address) : NULL;
	bool ok = h->outcome == TLSTALL_OUTCOME_OK;
	bool stalled = h->outcome == TLSTALL_OUTCOME_FAILED || (!ok && facts->age_ns >= STALL_NS);

	/* this handshake is one of them */
	facts->others.peers_ok = peer && peer->ok >= ok ? peer->ok - ok : 0;
	facts->others.peers_stalled =
		peer && peer->stalled >= stalled ? peer->stalled - stalled : 0;
	facts->others.thread_other_ops = count_ops(n, h, facts);
	if (facts->longest_gap_ns >= NOTABLE_NS || facts->idle_ns >= STALL_NS)
		add_hole(n, h, facts);
	if (h->role == TLSTALL_ROLE_SERVER) {
		add_window(n, h, facts);
		facts->others.pool = pool_has_others(&n->pool, h);
	}
	add_same_socket(n, h, &facts->others);
}
