/* SPDX-License-Identifier: Apache-2.0 */
/* What all judges conclude alike from the facts. */
#include <string.h>

#include "judge.h"

/* A spin is told from a few early calls by these. */
#define SPIN_CALLS 1000
#define SPIN_NS (100 * MS)
#define SPIN_PERIOD_NS (1 * MS)

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static bool is_memory(const struct tlstall_transport *t)
{
	return t->bio_class == TLSTALL_BIO_MEMORY || t->bio_class == TLSTALL_BIO_PAIR;
}

static bool is_built_in(const struct tlstall_transport *t)
{
	return t->bio_class == TLSTALL_BIO_SOCKET || t->bio_class == TLSTALL_BIO_DATAGRAM ||
	       t->bio_class == TLSTALL_BIO_FD;
}

static uint64_t round_trip(const struct facts *f)
{
	const struct tlstall_socket *all[] = {&f->live, &f->h.at_end, &f->h.at_gap, &f->h.at_start};

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (all[i]->ticks && all[i]->rtt_us)
			return all[i]->rtt_us * 1000ull;
	}
	return f->seen_rtt_ns;
}

/* Sent long ago, and sent again: a flight that has just left does not count. */
static bool is_overdue(const struct tlstall_socket *s)
{
	if (!s || !s->unacked)
		return false;
	return s->retransmits || s->backoff ||
	       (s->rto_us && s->last_data_sent_ms * 1000ull > 3ull * s->rto_us);
}

/* Whether a byte of the peer came since the first op. */
static bool has_received(const struct sight *s)
{
	const struct tlstall_socket *start = &s->h->at_start;

	if (s->h->bytes_in)
		return true;
	return s->socket && start->ticks && s->socket->bytes_received > start->bytes_received;
}

/*
 * The state is named after the message before: "read ..." stands for a flight
 * of which something was read; after a "write ..." a new flight is awaited.
 */
static bool is_mid_flight(const struct sight *s)
{
	const char *state = s->f->state;

	if (s->f->next_arrived || (state && strstr(state, " read ")))
		return true;
	if (!state || s->f->hello_retry)
		return false;
	return (strstr(state, "client hello") || strstr(state, "before")) && has_received(s);
}

static bool is_stuck(const struct sight *s)
{
	uint64_t patience = most(STALL_NS, 4 * s->rtt_ns);

	return !s->ok && !s->failed && s->f->since_progress_ns >= patience;
}

/* One that spins is inside half of the time: only what fills the stall counts. */
static bool is_inside(const struct facts *f)
{
	return f->in_op_ns && (!f->h.calls || f->in_op_ns >= f->since_progress_ns / 2);
}

void sight_make(const struct facts *f, struct sight *s)
{
	struct facts settled = *f;

	facts_settle(&settled);
	*s = (struct sight){.f = f, .h = &f->h, .time = settled.time, .socket = socket_now(f)};
	s->ok = f->h.outcome == TLSTALL_OUTCOME_OK;
	s->failed = f->h.outcome == TLSTALL_OUTCOME_FAILED;
	s->in_op = !s->ok && !s->failed && is_inside(f);
	s->rtt_ns = round_trip(f);
	s->stuck = is_stuck(s);
	s->slow = s->stuck || f->age_ns >= SLOW_HANDSHAKE_NS;
	s->built_in = is_built_in(&f->h.read);
	s->memory = is_memory(&f->h.read) || is_memory(&f->h.write);
	s->may_block = !s->memory && !(s->built_in && f->h.read.blocking == 0);
	s->unacked = is_overdue(s->socket);
	s->mid_flight = is_mid_flight(s);
}

uint32_t retransmitted(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	uint32_t before = h->at_start.ticks ? h->at_start.total_retrans : 0, after = 0;

	if (h->at_gap.ticks)
		after = h->at_gap.total_retrans;
	if (h->at_end.ticks && h->at_end.total_retrans > after)
		after = h->at_end.total_retrans;
	if (s->f->live.ticks && s->f->live.total_retrans > after)
		after = s->f->live.total_retrans;
	/* a first op that blocked to the end saw all of them */
	if (h->calls <= 1)
		before = 0;
	return after > before ? after - before : 0;
}

bool has_spun(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;

	return h->longest_run >= SPIN_CALLS && s->f->run_ns >= SPIN_NS &&
	       s->f->run_ns / h->longest_run < SPIN_PERIOD_NS;
}

bool is_not_pumped(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	uint32_t out = h->pending_out;

	if (!s->stuck || s->in_op || !is_memory(&h->write) || out == UINT32_MAX || !out)
		return false;
	if (h->last_error == ERROR_WANT_WRITE)
		return true;
	/* after one op its output has still to be taken; after more, all of it lies there */
	return h->last_error == ERROR_WANT_READ && h->retries && out >= h->bytes_out;
}

bool is_starved(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;

	return s->stuck && !s->in_op && is_memory(&h->read) && h->last_error == ERROR_WANT_READ &&
	       h->pending_in == 0 && h->pending_out == 0;
}

static bool waits_outside(const struct sight *s)
{
	const struct tlstall_socket *now = s->socket;

	if (s->f->wait == WAIT_STOPPED)
		return false;
	if (s->h->last_error == ERROR_WANT_READ)
		return !(now && now->inq && now->inq != UINT32_MAX);
	/* a closed window: the peer takes nothing */
	return s->h->last_error == ERROR_WANT_WRITE && !(now && now->outq == 0);
}

static bool waits_inside(const struct sight *s)
{
	switch (s->f->wait) {
	case WAIT_ON_SOCKET:
		return true;
	case WAIT_POLL: /* OpenSSL's own BIOs do not poll */
		return s->may_block && !s->built_in;
	case WAIT_UNKNOWN:
	case WAIT_NOT_LOOKED:
	case WAIT_GONE:
		return s->may_block;
	default:
		return false;
	}
}

bool awaits_peer(const struct sight *s)
{
	if (!s->stuck || s->unacked || is_not_pumped(s) || is_starved(s))
		return false;
	if (s->in_op || !s->h->calls)
		return waits_inside(s);
	return waits_outside(s);
}

uint64_t one_loss_ns(const struct sight *s)
{
	/* a round trip, and the sender's timeout: three of them at first, 200 ms at least */
	return s->rtt_ns ? 5 * s->rtt_ns + NOTABLE_NS : 0;
}

uint64_t awaited_peer_ns(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	uint64_t gap = 0, ready = h->longest_gap_ready_ms * MS, inside = 0;

	if (h->longest_gap_want == ERROR_WANT_READ && s->f->longest_gap_ns > ready)
		gap = s->f->longest_gap_ns - ready;
	if (s->may_block && s->f->state_wait_flight)
		inside = s->f->state_wait_ns;
	if (inside > s->f->longest_call_ns)
		inside = s->f->longest_call_ns;
	return most(gap, inside);
}
