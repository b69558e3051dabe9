/* SPDX-License-Identifier: Apache-2.0 */
/* Conclusions from the facts that all judges share. */
#include <netinet/tcp.h>
#include <string.h>

#include "diagnosis/stack.h"
#include "judge.h"

/* More than a few early calls: so many, for so long, at such short intervals are a spin. */
#define SPIN_CALLS 1000
#define SPIN_NS (100 * MS)
#define SPIN_PERIOD_NS (1 * MS)

/* The segment size of most paths: only loopback has larger full segments. */
#define PATH_MSS 1460
/* Packets queue on the path if a round trip takes this many times the shortest, and this long. */
#define QUEUE_RATIO 10
#define QUEUE_NS (100 * MS)

/* A state is recorded at most this long before its bytes are written. */
#define SOON_NS (50 * MS)
#define TLS1_3 0x0304

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* The shortest round trip measured is the distance; anything beyond is queueing. */
static uint64_t round_trip(const struct facts *f)
{
	const struct tlstall_socket *all[] = {&f->live, &f->seen, &f->at_end, &f->at_gap,
					      &f->at_start};
	uint64_t least = 0;

	for (unsigned i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		uint64_t ns = all[i]->rtt_us * 1000ull;

		if (all[i]->ticks && ns && (!least || ns < least))
			least = ns;
	}
	return least;
}

/*
 * Bytes in the socket that were never sent: an estimate, unless the kernel was asked from outside.
 */
static uint32_t never_sent(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	if (f->live.ticks && f->tcp.known)
		return f->tcp.notsent;
	return n && n->tcp_state && n->outq != UINT32_MAX && !n->unacked ? n->outq : 0;
}

/* Nothing is in flight, and the peer's window has no room for what is left to send. */
static bool is_window_shut(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	return n && f->live.ticks && f->tcp.known && f->notsent && !n->unacked && f->stuck &&
	       f->tcp.window < f->notsent && f->tcp.window < n->snd_mss;
}

/*
 * Sent long ago or retransmitted, and not acknowledged. A flight that has just left does not count,
 * and on a path that fills up the timeout grows, too. Bytes that were never sent although the
 * window has room count as well: a local firewall may drop them.
 */
static bool is_overdue(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);
	bool kept = f->notsent && f->live.ticks && f->tcp.known && !f->window_shut;

	if (!n || (!n->unacked && !kept))
		return false;
	if (n->retransmits || n->backoff)
		return true;
	return f->stuck && n->last_ack_recv_ms * MS >= patience(f) &&
	       (n->last_data_sent_ms * MS >= patience(f) || retransmitted(f));
}

/*
 * A state is named after the message before it: after "read ...", a part of a flight has been read;
 * after "write ...", a new flight is due.
 */
static bool is_mid_flight(const struct facts *f)
{
	const char *state = f->state;

	if (f->next_arrived || (state && strstr(state, " read ")))
		return true;
	if (!state)
		return false;
	/* that was the HelloRetryRequest, unless more came after our answer to it */
	if (f->hello_retry)
		return f->since_state_ns > f->since_progress_ns + SOON_NS;
	return (strstr(state, "client hello") || strstr(state, "before")) && has_received(f);
}

static bool is_stuck(const struct facts *f)
{
	return !f->ok && !f->failed && f->since_progress_ns >= patience(f);
}

/* ---- a narrow path --------------------------------------------------------- */

static const struct tlstall_socket *last_look(const struct facts *f)
{
	if (f->live.ticks)
		return &f->live;
	return f->at_end.ticks ? &f->at_end : &f->seen;
}

/*
 * What came after the look is taken to have come in segments of the same size. From outside, all
 * that is known came between two looks.
 */
static void count_segments(struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = last_look(f);
	uint32_t whole = now->snd_mss && now->snd_mss < PATH_MSS ? now->snd_mss : PATH_MSS;
	uint64_t bytes = now->bytes_received - start->bytes_received, mean;

	if (!now->ticks || now->data_segs_in <= start->data_segs_in ||
	    now->bytes_received <= start->bytes_received)
		return;
	f->segments = now->data_segs_in - start->data_segs_in;
	mean = bytes / f->segments;
	f->full = mean >= whole / 2;
	f->arrived = f->looked ? bytes : f->bytes_in;
	if (f->looked)
		f->flight_ns = start->ticks ? f->age_ns : 0;
	else if (f->bytes_in > bytes && mean)
		f->segments = (uint32_t)(f->bytes_in / mean);
	if (f->segments > 1)
		f->segment_ns = f->flight_ns / (f->segments - 1);
}

/* No single wait makes up most of the flight, as far as a blocking call lets us tell. */
static bool is_spread(const struct facts *f)
{
	uint64_t flight = f->flight_ns;

	if (f->time.gap_waiting_ns >= flight / 2)
		return f->longest_gap_ns <= flight / 3 * 2;
	return f->time.wait_in_call_ns >= flight / 2 && !(held_ns(f) && can_be_callback(f));
}

/* While it lasts, the next segment is not overdue, compared with those before. */
static bool comes_slowly(const struct facts *f)
{
	if (!f->full || f->segments < 3 || !f->slow || f->flight_ns < NOTABLE_NS ||
	    f->segment_ns <= f->rtt_ns)
		return false;
	if (f->ok || f->failed)
		return is_spread(f);
	return f->mid_flight && last_look(f)->last_data_recv_ms * MS <= 3 * f->segment_ns;
}

/* The round trip has grown since we began to send: our packets queue up on the path. */
static bool has_filled_up(const struct facts *f)
{
	const struct tlstall_socket *gap = &f->at_gap, *now = last_look(f);
	uint32_t us = gap->ticks && gap->rtt_us > now->rtt_us ? gap->rtt_us : now->rtt_us;

	return f->rtt_ns && us * 1000ull >= QUEUE_NS && us * 1000ull >= QUEUE_RATIO * f->rtt_ns;
}

static bool leaves_slowly(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = last_look(f);

	if (!f->slow || !start->ticks || !now->ticks || !now->snd_mss ||
	    f->bytes_out <= 2 * now->snd_mss || !has_filled_up(f))
		return false;
	if (f->ok || f->failed)
		return awaited_peer_ns(f) >= NOTABLE_NS;
	return now->unacked && now->bytes_acked > start->bytes_acked + now->snd_mss;
}

/* A spinning program is inside calls half the time: only a call that fills the stall counts. */
static bool is_inside(const struct facts *f)
{
	return f->in_op_ns && (!f->calls || f->in_op_ns >= f->since_progress_ns / 2);
}

/* The thread has made another call, or has ended: this call will not return. */
static bool is_left(const struct facts *f)
{
	return f->entered ? f->wait == TLSTALL_WAIT_ENDED : f->flags & TLSTALL_HS_LEFT;
}

/*
 * The shim did not ask, but a thread that waits in a call on the descriptor shows that it blocks.
 */
static void settle_blocking(struct facts *f)
{
	if (f->read.blocking != 2 || f->wait != TLSTALL_WAIT_ON_SOCKET || !f->in_op_ns ||
	    !tlstall_has_descriptor(&f->read))
		return;
	f->read.blocking = 1;
	if (f->write.fd == f->read.fd)
		f->write.blocking = 1;
}

void facts_settle(struct facts *f)
{
	split_time(f);
	f->looked = f->flags & TLSTALL_HS_LOOKED;
	settle_blocking(f);
	f->ok = f->outcome == TLSTALL_OUTCOME_OK;
	f->failed = f->outcome == TLSTALL_OUTCOME_FAILED;
	f->left = !f->ok && !f->failed && is_left(f);
	f->in_op = !f->ok && !f->failed && !f->left && is_inside(f);
	f->rtt_ns = round_trip(f);
	f->stuck = is_stuck(f);
	f->slow = f->stuck || f->age_ns >= SLOW_HANDSHAKE_NS;
	f->built_in = tlstall_has_descriptor(&f->read);
	f->swapped = is_swapped(f);
	f->memory = tlstall_is_in_memory(&f->read) || tlstall_is_in_memory(&f->write);
	f->may_block = !f->memory && !(f->built_in && f->read.blocking == 0);
	f->mid_flight = is_mid_flight(f);
	count_segments(f);
	f->comes_slowly = comes_slowly(f);
	f->leaves_slowly = leaves_slowly(f);
	f->notsent = never_sent(f);
	f->window_shut = is_window_shut(f);
	f->unacked = is_overdue(f) && !f->leaves_slowly;
	f->unanswered = f->stuck && f->live.ticks && f->tcp.known && f->tcp.probes > 1 &&
			!f->notsent && !f->live.unacked;
}

uint32_t retransmitted(const struct facts *f)
{
	uint32_t before = f->at_start.ticks ? f->at_start.total_retrans : 0, after = 0;

	if (f->at_gap.ticks)
		after = f->at_gap.total_retrans;
	if (f->at_end.ticks && f->at_end.total_retrans > after)
		after = f->at_end.total_retrans;
	if (f->live.ticks && f->live.total_retrans > after)
		after = f->live.total_retrans;
	/* the first op blocked to the end, and saw all of them */
	if (f->calls <= 1)
		before = 0;
	return after > before ? after - before : 0;
}

bool has_spun(const struct facts *f)
{
	return f->longest_run >= SPIN_CALLS && f->run_ns >= SPIN_NS &&
	       f->run_ns / f->longest_run < SPIN_PERIOD_NS;
}

/* All output is still in the BIO, none of it was ever taken out. */
bool lies_in_bio(const struct facts *f)
{
	uint32_t out = f->pending_out;

	return f->stuck && !f->in_op && tlstall_is_in_memory(&f->write) && out &&
	       out != UINT32_MAX && f->last_error == TLSTALL_ERROR_WANT_READ &&
	       (f->retries || f->looked || f->built_in) && out >= f->bytes_out;
}

bool is_blocked_before_pumping(const struct facts *f)
{
	return f->stuck && f->in_op && !f->calls && tlstall_is_in_memory(&f->write) &&
	       f->wait == TLSTALL_WAIT_ON_SOCKET && f->state &&
	       (strstr(f->state, " write ") || strstr(f->state, "early data")) && !bytes_taken(f);
}

/* The connection has nothing to send and carried no more than was taken out of the BIO. */
bool is_seen_not_pumped(const struct facts *f)
{
	const struct tlstall_socket *n = f->looked || f->built_in ? &f->live : &f->only;
	uint64_t taken = f->bytes_out > f->pending_out ? f->bytes_out - f->pending_out : 0;

	return n->ticks && n->tcp_state == TCP_ESTABLISHED && !n->outq &&
	       n->bytes_acked <= taken + 1;
}

/* A lower protocol may hold the output back until its own peer has answered. */
bool is_not_pumped(const struct facts *f)
{
	uint32_t out = f->pending_out;

	if (is_blocked_before_pumping(f))
		return true;
	if (lies_in_bio(f))
		return is_seen_not_pumped(f);
	return f->stuck && !f->in_op && tlstall_is_in_memory(&f->write) && out &&
	       out != UINT32_MAX && f->last_error == TLSTALL_ERROR_WANT_WRITE;
}

bool is_elsewhere(const struct facts *f)
{
	return f->wait == TLSTALL_WAIT_FUTEX || f->wait == TLSTALL_WAIT_RUNNING ||
	       f->wait == TLSTALL_WAIT_SLEEP;
}

bool are_all_idle(const struct facts *f)
{
	return f->idle && f->idle == f->fitting;
}

/* A server's OpenSSL has got nothing, and too little came for a ClientHello. */
static bool came_too_little(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_SERVER && !f->bytes_in &&
	       f->only.bytes_received < SMALLEST_HELLO;
}

bool is_only_quiet(const struct facts *f)
{
	const struct tlstall_socket *n = &f->only;

	return n->ticks && n->tcp_state == TCP_ESTABLISHED && !n->inq && !n->outq &&
	       n->bytes_acked && f->pending_out == 0 &&
	       (n->last_data_recv_ms > n->last_data_sent_ms ||
		(n->last_data_recv_ms == n->last_data_sent_ms && came_too_little(f)));
}

/* From outside: its socket has brought nothing that OpenSSL has not got. */
static bool brought_no_more(const struct facts *f)
{
	const struct tlstall_socket *n = &f->live;

	return f->looked && n->ticks && n->tcp_state && !n->inq && f->pending_in == 0 &&
	       n->bytes_received <= f->bytes_in;
}

/* Wherever the thread is: what has come to none of its connections cannot be fed in. */
bool is_fed(const struct facts *f)
{
	if (f->pending_in)
		return false;
	return are_all_idle(f) || ((f->idle || is_only_quiet(f)) && !is_elsewhere(f));
}

bool is_starved(const struct facts *f)
{
	if (!f->stuck || f->in_op || !tlstall_is_in_memory(&f->read) ||
	    f->last_error != TLSTALL_ERROR_WANT_READ || is_not_pumped(f))
		return false;
	/* its socket was found: what has not arrived cannot be fed in */
	if ((f->live.ticks && f->live.tcp_state && !is_elsewhere(f)) || is_fed(f) ||
	    brought_no_more(f))
		return false;
	return (f->pending_in == 0 && f->pending_out == 0) || lies_in_bio(f) || is_elsewhere(f);
}

static bool waits_outside(const struct facts *f)
{
	const struct tlstall_socket *now = socket_now(f);

	if (f->wait == TLSTALL_WAIT_STOPPED)
		return false;
	if (f->last_error == TLSTALL_ERROR_WANT_READ)
		return !(now && now->inq && now->inq != UINT32_MAX);
	/* the window is closed: the peer does not read */
	return f->last_error == TLSTALL_ERROR_WANT_WRITE && !(now && now->outq == 0);
}

bool may_be_own_socket(const struct facts *f)
{
	return f->may_block && f->read.fd < 0 && f->wait_fd >= 0 &&
	       stack_says(f->stack_symbols) == STACK_UNKNOWN;
}

static bool waits_inside(const struct facts *f)
{
	switch (f->wait) {
	case TLSTALL_WAIT_ON_SOCKET:
		return true;
	case TLSTALL_WAIT_POLL: /* OpenSSL's own BIOs never poll */
		return f->may_block && !f->built_in;
	case TLSTALL_WAIT_OTHER_FD: /* the program's own BIO may use any */
		return may_be_own_socket(f);
	case TLSTALL_WAIT_UNKNOWN:
	case TLSTALL_WAIT_NOT_LOOKED:
	case TLSTALL_WAIT_GONE:
		return f->may_block;
	default:
		return false;
	}
}

bool awaits_peer(const struct facts *f)
{
	if (f->swapped || is_unconnected(f) || is_left_unread(f) || are_all_unread(f))
		return false;
	if (!f->stuck || f->unacked || f->unanswered || f->window_shut || f->comes_slowly ||
	    f->leaves_slowly || is_not_pumped(f) || is_starved(f))
		return false;
	if (f->in_op || f->left || !f->calls)
		return waits_inside(f);
	return waits_outside(f);
}

uint64_t one_loss_ns(const struct facts *f)
{
	/* a round trip, then the sender's timeout: three round trips at first, at least 200 ms */
	return f->rtt_ns ? 5 * f->rtt_ns + NOTABLE_NS : 0;
}

/* Beyond this many, the wait is longer than anybody waits. */
#define LOSSES_MOST 16

uint64_t losses_ns(const struct facts *f)
{
	uint32_t times = retransmitted(f);
	uint64_t first = most(one_loss_ns(f), f->at_start.rto_us * 1000ull);

	return f->rtt_ns && times < LOSSES_MOST ? 2 * first * ((1ull << times) - 1) : UINT64_MAX;
}

uint64_t held_ns(const struct facts *f)
{
	uint64_t ns = f->state_wait_flight ? 0 : f->state_wait_ns;

	return ns < f->longest_call_ns ? ns : f->longest_call_ns;
}

bool data_was_there(const struct facts *f)
{
	const struct tlstall_socket *end = &f->at_end;

	return end->ticks && end->tcp_state &&
	       (end->last_data_recv_ms + 1) * MS * 10 >= held_ns(f) * 9;
}

/* Session tickets may have arrived afterwards: then the last byte is not of this flight. */
static bool last_was_read(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *end = &f->at_end;

	return start->ticks && end->ticks && end->tcp_state &&
	       end->bytes_received - start->bytes_received <= f->bytes_in;
}

/*
 * Here, the flight's last byte came at the end of the wait. A TLS 1.3 client does not call back
 * before that, except about the first message; older versions may, but not before the ServerHello
 * has been read.
 */
bool can_be_callback(const struct facts *f)
{
	if (f->role != TLSTALL_ROLE_CLIENT || !last_was_read(f) || data_was_there(f))
		return true;
	if (f->version == TLS1_3)
		return false;
	return !(f->state_wait && strstr(f->state_wait, "client hello"));
}

uint32_t pieces(const struct facts *f)
{
	/* calls that read nothing come in runs, of which the shim records the longest */
	uint32_t run = f->longest_run > 1 && f->longest_run_error == TLSTALL_ERROR_WANT_READ
			       ? f->longest_run - 1
			       : 0;

	if (f->segments)
		return f->segments;
	return f->want_read > run ? f->want_read - run : f->want_read > 0;
}

/* Between the two states bytes came only at both ends, however often the program called. */
static uint64_t one_wait_ns(const struct facts *f)
{
	uint64_t ready = f->time.gap_ready_ns;

	if (!f->state_wait_flight || f->longest_run < 2 || pieces(f) > 2 ||
	    f->state_wait_ns < ready)
		return 0;
	return f->state_wait_ns - ready;
}

/* After the peer's last byte, this side took all of the time. */
static uint64_t before_last_byte(const struct facts *f)
{
	const struct tlstall_socket *end = &f->at_end;
	uint64_t since = end->last_data_recv_ms * MS;

	if (!end->ticks || !end->tcp_state || !f->ended || !f->bytes_in)
		return UINT64_MAX;
	return f->age_ns > since ? f->age_ns - since : 0;
}

uint64_t awaited_peer_ns(const struct facts *f)
{
	uint64_t gap = 0, ready = f->longest_gap_ready_ms * MS, inside = 0;

	if (f->longest_gap_want == TLSTALL_ERROR_WANT_READ && f->longest_gap_ns > ready)
		gap = f->longest_gap_ns - ready;
	if (f->may_block && (f->state_wait_flight || !can_be_callback(f)))
		inside = f->state_wait_ns;
	if (inside > f->longest_call_ns)
		inside = f->longest_call_ns;
	if (inside > before_last_byte(f))
		inside = before_last_byte(f);
	return most(most(gap, inside), one_wait_ns(f));
}
