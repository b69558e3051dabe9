/* SPDX-License-Identifier: Apache-2.0 */
/* What all judges conclude alike from the facts. */
#include <string.h>

#include "judge.h"

/* A spin is told from a few early calls by these. */
#define SPIN_CALLS 1000
#define SPIN_NS (100 * MS)
#define SPIN_PERIOD_NS (1 * MS)

/* What segments hold on most paths: a larger one would be full on loopback only. */
#define PATH_MSS 1460
/* Packets that queue on the way: a round trip is so many times what it was, and so long. */
#define QUEUE_RATIO 10
#define QUEUE_NS (100 * MS)

#define TLS1_3 0x0304

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

/* The shortest that was seen is the distance: the rest of a longer one is queues. */
static uint64_t round_trip(const struct facts *f)
{
	const struct tlstall_socket *all[] = {&f->live, &f->seen, &f->h.at_end, &f->h.at_gap,
					      &f->h.at_start};
	uint64_t least = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t ns = all[i]->rtt_us * 1000ull;

		if (all[i]->ticks && ns && (!least || ns < least))
			least = ns;
	}
	return least;
}

static uint64_t patience(const struct sight *s)
{
	return most(STALL_NS, 4 * s->rtt_ns);
}

/*
 * Sent again, or sent long ago: a flight that has just left does not count. On a path that
 * fills, the timeout grows along.
 */
static bool is_overdue(const struct sight *s)
{
	const struct tlstall_socket *n = s->socket;

	if (!n || !n->unacked)
		return false;
	if (n->retransmits || n->backoff)
		return true;
	return s->stuck && n->last_ack_recv_ms * MS >= patience(s) &&
	       (n->last_data_sent_ms * MS >= patience(s) || retransmitted(s));
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
	return !s->ok && !s->failed && s->f->since_progress_ns >= patience(s);
}

/* ---- a narrow path --------------------------------------------------------- */

static const struct tlstall_socket *last_look(const struct sight *s)
{
	if (s->f->live.ticks)
		return &s->f->live;
	return s->h->at_end.ticks ? &s->h->at_end : &s->f->seen;
}

/* What came after the look came in segments of the same size. */
static void count_segments(struct sight *s)
{
	const struct tlstall_socket *start = &s->h->at_start, *now = last_look(s);
	uint32_t whole = now->snd_mss && now->snd_mss < PATH_MSS ? now->snd_mss : PATH_MSS;
	uint64_t bytes = now->bytes_received - start->bytes_received, mean;

	if (!now->ticks || now->data_segs_in <= start->data_segs_in ||
	    now->bytes_received <= start->bytes_received)
		return;
	s->segments = now->data_segs_in - start->data_segs_in;
	mean = bytes / s->segments;
	s->full = mean >= whole / 2;
	if (s->h->bytes_in > bytes && mean)
		s->segments = (uint32_t)(s->h->bytes_in / mean);
	if (s->segments > 1)
		s->segment_ns = s->f->flight_ns / (s->segments - 1);
}

/* No single wait makes most of it, as far as can be seen from outside a blocking call. */
static bool is_spread(const struct sight *s)
{
	uint64_t flight = s->f->flight_ns;

	if (s->time.gap_waiting_ns >= flight / 2)
		return s->f->longest_gap_ns <= flight / 3 * 2;
	return s->time.wait_in_call_ns >= flight / 2 && !(held_ns(s) && can_be_callback(s));
}

/* While it goes on: the next segment is not overdue, judged by those that came. */
static bool comes_slowly(const struct sight *s)
{
	if (!s->full || s->segments < 3 || !s->slow || s->f->flight_ns < NOTABLE_NS ||
	    s->segment_ns <= s->rtt_ns)
		return false;
	if (s->ok || s->failed)
		return is_spread(s);
	return s->mid_flight && last_look(s)->last_data_recv_ms * MS <= 3 * s->segment_ns;
}

/* The way was short and has become long since we send: our packets queue up on it. */
static bool has_filled_up(const struct sight *s)
{
	const struct tlstall_socket *gap = &s->h->at_gap, *now = last_look(s);
	uint32_t us = gap->ticks && gap->rtt_us > now->rtt_us ? gap->rtt_us : now->rtt_us;

	return s->rtt_ns && us * 1000ull >= QUEUE_NS && us * 1000ull >= QUEUE_RATIO * s->rtt_ns;
}

static bool leaves_slowly(const struct sight *s)
{
	const struct tlstall_socket *start = &s->h->at_start, *now = last_look(s);

	if (!s->slow || !start->ticks || !now->ticks || !now->snd_mss ||
	    s->h->bytes_out <= 2 * now->snd_mss || !has_filled_up(s))
		return false;
	if (s->ok || s->failed)
		return awaited_peer_ns(s) >= NOTABLE_NS;
	return now->unacked && now->bytes_acked > start->bytes_acked + now->snd_mss;
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
	s->mid_flight = is_mid_flight(s);
	count_segments(s);
	s->comes_slowly = comes_slowly(s);
	s->leaves_slowly = leaves_slowly(s);
	s->unacked = is_overdue(s) && !s->leaves_slowly;
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

bool is_elsewhere(const struct sight *s)
{
	return s->f->wait == WAIT_FUTEX || s->f->wait == WAIT_RUNNING || s->f->wait == WAIT_SLEEP;
}

bool is_starved(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;

	if (!s->stuck || s->in_op || !is_memory(&h->read) || h->last_error != ERROR_WANT_READ ||
	    is_not_pumped(s))
		return false;
	return (h->pending_in == 0 && h->pending_out == 0) || is_elsewhere(s);
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
	if (!s->stuck || s->unacked || s->comes_slowly || s->leaves_slowly || is_not_pumped(s) ||
	    is_starved(s))
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

uint64_t held_ns(const struct sight *s)
{
	uint64_t ns = s->f->state_wait_flight ? 0 : s->f->state_wait_ns;

	return ns < s->f->longest_call_ns ? ns : s->f->longest_call_ns;
}

bool data_was_there(const struct sight *s)
{
	const struct tlstall_socket *end = &s->h->at_end;

	return end->ticks && end->tcp_state &&
	       (end->last_data_recv_ms + 1) * MS * 10 >= held_ns(s) * 9;
}

/* Session tickets may have come since: then the last byte is not the flight's. */
static bool last_was_read(const struct sight *s)
{
	const struct tlstall_socket *start = &s->h->at_start, *end = &s->h->at_end;

	return start->ticks && end->ticks && end->tcp_state &&
	       end->bytes_received - start->bytes_received <= s->h->bytes_in;
}

/*
 * A TLS 1.3 client calls back when it has all that it reads, but for what it asks of a first
 * message. Before, nothing is asked of an answer that has just begun.
 */
bool can_be_callback(const struct sight *s)
{
	if (s->h->role != TLSTALL_ROLE_CLIENT || !last_was_read(s) || data_was_there(s))
		return true;
	if (s->h->version == TLS1_3)
		return false;
	return !(s->f->state_wait && strstr(s->f->state_wait, "client hello"));
}

uint64_t awaited_peer_ns(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	uint64_t gap = 0, ready = h->longest_gap_ready_ms * MS, inside = 0;

	if (h->longest_gap_want == ERROR_WANT_READ && s->f->longest_gap_ns > ready)
		gap = s->f->longest_gap_ns - ready;
	if (s->may_block && (s->f->state_wait_flight || !can_be_callback(s)))
		inside = s->f->state_wait_ns;
	if (inside > s->f->longest_call_ns)
		inside = s->f->longest_call_ns;
	return most(gap, inside);
}
