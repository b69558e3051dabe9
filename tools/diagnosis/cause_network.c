/* SPDX-License-Identifier: Apache-2.0 */
/* The way between: TCP, lost packets, distance. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "judge.h"

/* A ClientHello above this does not fit one packet of most paths. */
#define LARGE_HELLO 1300

static bool is_connect_error(uint8_t number)
{
	return number == ENOTCONN || number == ECONNREFUSED || number == EHOSTUNREACH ||
	       number == ENETUNREACH || number == EHOSTDOWN;
}

static bool in_syn_sent(const struct sight *s)
{
	if (s->f->live.ticks)
		return s->f->live.tcp_state == TCP_SYN_SENT;
	return s->h->at_start.ticks && s->h->at_start.tcp_state == TCP_SYN_SENT;
}

bool judge_TCP_NOT_CONNECTED(const struct sight *s, struct verdict *v)
{
	bool error = s->failed && s->h->last_error == ERROR_SYSCALL && !s->h->bytes_in &&
		     (is_connect_error(s->h->last_errno) ||
		      (s->h->last_errno == ETIMEDOUT && in_syn_sent(s)));
	bool syn = in_syn_sent(s) && !s->h->bytes_in && s->stuck;
	bool want =
		s->stuck && !s->in_op &&
		(s->h->last_error == ERROR_WANT_CONNECT || s->h->last_error == ERROR_WANT_ACCEPT);

	if (!error && !syn && !want)
		return false;
	v->cost_ns = error ? s->f->age_ns : s->f->since_progress_ns;
	v->confidence = CONFIDENCE_HIGH;
	if (in_syn_sent(s))
		say(v, "at the first %s the socket was in SYN_SENT: connect() had not finished",
		    s->f->last_function && *s->f->last_function ? s->f->last_function : "call");
	if (error)
		say(v, "the call ended with errno %u (%s) after %s, nothing was read",
		    s->h->last_errno, strerror(s->h->last_errno), span(s->f->age_ns).s);
	if (error && s->h->last_errno == ENOTCONN)
		v->fault = FAULT_PROGRAM;
	say_calls(s, v);
	return true;
}

static void say_loss(const struct sight *s, struct verdict *v)
{
	const struct tlstall_socket *n = s->socket;

	if (n && n->unacked)
		say(v, "%u segments (%s) are not acknowledged, sent %u times again, timeout now %s",
		    n->unacked, size(n->outq == UINT32_MAX ? 0 : n->outq).s, n->retransmits,
		    span(n->rto_us * 1000ull).s);
	if (n && n->snd_mss && s->h->bytes_out > n->snd_mss)
		say(v,
		    "what we sent (%s) is larger than one segment (%u B): large packets may be "
		    "lost alone",
		    size(s->h->bytes_out).s, n->snd_mss);
	if (retransmitted(s))
		say(v, "%u segments were sent again during the handshake", retransmitted(s));
}

bool judge_TX_NOT_ACKED(const struct sight *s, struct verdict *v)
{
	bool stuck = s->stuck && s->unacked;
	bool gave_up = s->failed && s->h->last_error == ERROR_SYSCALL &&
		       s->h->last_errno == ETIMEDOUT && !in_syn_sent(s);
	uint64_t waited = awaited_peer_ns(s);
	bool delayed = !s->stuck && waited >= NOTABLE_NS && s->slow && retransmitted(s) &&
		       !s->leaves_slowly && !s->comes_slowly;

	if (!stuck && !gave_up && !delayed)
		return false;
	v->cost_ns = stuck ? s->f->since_progress_ns : gave_up ? s->f->age_ns : waited;
	if (stuck || gave_up)
		v->confidence = CONFIDENCE_HIGH;
	else
		doubt(v, CAUSE_PEER_SILENT);
	if (gave_up)
		say(v, "the kernel gave up sending after %s (ETIMEDOUT)", span(s->f->age_ns).s);
	if (delayed)
		say(v, "the longest wait was %s", span(waited).s);
	say_loss(s, v);
	if (s->stuck)
		say_calls(s, v);
	say_neighbours(s, v);
	return true;
}

static void say_arrivals(const struct sight *s, struct verdict *v)
{
	say(v, "%s came in %u segments over %s: %s a second", size(s->h->bytes_in).s, s->segments,
	    span(s->f->flight_ns).s, size(s->h->bytes_in * S / s->f->flight_ns).s);
	say(v, "they are full, one came every %s: whoever is slow writes small ones",
	    span(s->segment_ns).s);
}

static void say_queueing(const struct sight *s, struct verdict *v)
{
	const struct tlstall_socket *n = s->f->live.ticks ? &s->f->live : &s->h->at_end;
	uint32_t us = s->h->at_gap.rtt_us > n->rtt_us ? s->h->at_gap.rtt_us : n->rtt_us;

	say(v, "we sent %s; a round trip took %s at first and %s then: packets queue on the way",
	    size(s->h->bytes_out).s, span(s->rtt_ns).s, span(us * 1000ull).s);
	if (n->unacked && n->outq != UINT32_MAX)
		say(v, "%s of it are not acknowledged yet, the last acknowledgement came %s ago",
		    size(n->outq).s, span(n->last_ack_recv_ms * MS).s);
}

bool judge_NARROW_PATH(const struct sight *s, struct verdict *v)
{
	uint64_t waited = s->time.gap_waiting_ns + s->time.wait_in_call_ns;
	bool ended = s->ok || s->failed;

	if (!s->comes_slowly && !s->leaves_slowly)
		return false;
	v->cost_ns = waited;
	if (s->leaves_slowly) {
		v->confidence = CONFIDENCE_HIGH;
		say_queueing(s, v);
	} else {
		if (s->f->flight_ns < waited)
			v->cost_ns = s->f->flight_ns;
		/* inside a call many short waits look like a long one */
		if (ended && s->time.wait_in_call_ns > s->time.gap_waiting_ns)
			v->confidence = CONFIDENCE_LOW;
		say_arrivals(s, v);
		doubt(v, CAUSE_RX_PARTIAL);
	}
	if (ended)
		doubt(v, CAUSE_PEER_SILENT);
	else
		say_calls(s, v);
	if (retransmitted(s))
		say(v, "%u segments were sent again during the handshake", retransmitted(s));
	say_neighbours(s, v);
	return true;
}

/* In more than one packet: what breaks those that look into the first one only. */
static bool hello_is_split(const struct sight *s)
{
	const struct tlstall_socket *n = s->socket ? s->socket : &s->h->at_start;

	return n->ticks && n->snd_mss && s->h->first_flight > n->snd_mss;
}

bool judge_CLIENT_HELLO_DROPPED(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	bool silent = awaits_peer(s) && !s->mid_flight;
	bool cut = s->failed && (h->last_error == ERROR_SYSCALL || h->last_error == ERROR_SSL) &&
		   h->alert_count == 0;

	if (h->role != TLSTALL_ROLE_CLIENT || h->bytes_in || h->first_flight <= LARGE_HELLO ||
	    s->f->hello_retry || (!silent && !cut) || !hello_is_split(s))
		return false;
	v->cost_ns = silent ? s->f->since_progress_ns : s->f->age_ns;
	v->confidence = s->f->peers_ok ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	say(v, "ClientHello, %s, needs more than one packet and was acknowledged",
	    size(h->first_flight).s);
	say(v, silent ? "nothing came for %s" : "the connection was cut after %s",
	    span(silent ? s->f->since_progress_ns : s->f->age_ns).s);
	say_neighbours(s, v);
	doubt(v, silent ? CAUSE_PEER_SILENT : CAUSE_PEER_CLOSED);
	return true;
}

/* Full segments, and none for less than this: the next may be on a narrow path. */
#define SLOW_SEGMENT_NS (5 * S)

/* No network makes packets as small as these: whoever sends writes so little at once. */
#define SMALL_PIECE 300

/* Inside a call many short waits cannot be told from a long one, which was a callback's. */
static bool may_be_held(const struct sight *s)
{
	return s->time.wait_in_call_ns > s->time.gap_waiting_ns && held_ns(s) && can_be_callback(s);
}

/* Many short waits, each far beyond a round trip: the answer comes in drops. */
static bool drips(const struct sight *s)
{
	uint64_t waited = s->time.gap_waiting_ns + s->time.wait_in_call_ns;
	uint32_t pieces = s->segments ? s->segments : s->h->want_read;
	bool apart;

	if (s->full || may_be_held(s) || s->stuck || !s->slow || pieces < 5 || has_spun(s) ||
	    waited < SLOW_HANDSHAKE_NS)
		return false;
	apart = s->rtt_ns ? waited / pieces > 10 * s->rtt_ns
			  : s->h->bytes_in / pieces < SMALL_PIECE;
	return apart;
}

bool judge_RX_PARTIAL(const struct sight *s, struct verdict *v)
{
	bool stops = awaits_peer(s) && s->mid_flight;

	if (!stops && !drips(s))
		return false;
	doubt(v, CAUSE_PEER_SILENT);
	if (stops) {
		v->cost_ns = s->f->since_progress_ns;
		say(v, "%s came, then nothing for %s",
		    s->h->bytes_in ? size(s->h->bytes_in).s : "a part of the peer's answer",
		    span(s->f->since_progress_ns).s);
		say_calls(s, v);
	} else {
		v->cost_ns = s->time.gap_waiting_ns + s->time.wait_in_call_ns;
		say(v, "%s came in %u pieces over %s", size(s->h->bytes_in).s,
		    s->segments ? s->segments : s->h->want_read, span(v->cost_ns).s);
		if (s->rtt_ns)
			say(v, "a round trip takes %s", span(s->rtt_ns).s);
	}
	say_socket(s, v);
	say_neighbours(s, v);
	if (s->in_op && s->f->wait != WAIT_ON_SOCKET) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	} else if (stops && s->full && s->f->since_progress_ns < SLOW_SEGMENT_NS) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_NARROW_PATH);
	} else if (s->socket && s->socket->tcp_state) {
		v->confidence = CONFIDENCE_HIGH;
	}
	return true;
}

bool judge_SLOW_BUT_FINE(const struct sight *s, struct verdict *v)
{
	uint64_t waited = s->time.gap_waiting_ns + s->time.wait_in_call_ns;
	uint64_t longest = awaited_peer_ns(s);
	bool lost = longest > 2 * s->rtt_ns + 100 * MS;

	if (!s->ok || !s->slow || s->rtt_ns < 50 * MS || longest > one_loss_ns(s) ||
	    waited < s->f->age_ns / 2)
		return false;
	v->cost_ns = waited;
	say(v, "%s of waiting is %u round trips of %s; none took longer than %s", span(waited).s,
	    (unsigned)((waited + s->rtt_ns / 2) / s->rtt_ns), span(s->rtt_ns).s,
	    span(longest ? longest : waited).s);
	if (s->f->hello_retry)
		say(v, "one of them is a HelloRetryRequest");
	if (lost) {
		v->confidence = CONFIDENCE_LOW;
		say(v, "the longest is what it takes when one packet is lost and sent again");
	}
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}
