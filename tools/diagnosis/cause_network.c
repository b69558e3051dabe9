/* SPDX-License-Identifier: Apache-2.0 */
/* The network: TCP, lost packets, distance. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "judge.h"

/* A ClientHello larger than this many bytes does not fit into one packet on most paths. */
#define LARGE_HELLO 1300

/* Bytes were taken only after connect() had finished. */
static bool is_connect_error(const struct facts *f)
{
	return f->last_errno == ENOTCONN || f->last_errno == ECONNREFUSED ||
	       (is_unreachable(f) && !f->bytes_out);
}

/* The connection existed, and the kernel gave it up. */
static bool was_given_up(const struct facts *f)
{
	return f->failed && f->last_error == TLSTALL_ERROR_SYSCALL && !is_datagram(f) &&
	       (f->last_errno == ETIMEDOUT || (is_unreachable(f) && f->bytes_out));
}

/* The program asked the socket instead of calling again. */
static bool was_refused(const struct facts *f)
{
	return f->outcome == TLSTALL_OUTCOME_ABANDONED && is_unconnected(f) &&
	       socket_now(f) && socket_now(f)->tcp_state == TCP_CLOSE;
}

static void say_connect(const struct facts *f, struct verdict *v)
{
	const char *function = f->calls ? f->last_function : f->in_call_function;

	if (is_unconnected(f))
		say(v, "at the first %s the socket was in SYN_SENT: connect() had not finished",
		    function && *function ? function : "call");
	if (was_refused(f))
		say(v, "it has failed since: nobody listens, or no answer came");
}

bool judge_TCP_NOT_CONNECTED(const struct facts *f, struct verdict *v)
{
	bool error = f->failed && f->last_error == TLSTALL_ERROR_SYSCALL && !f->bytes_in &&
		     !is_datagram(f) &&
		     (is_connect_error(f) || (f->last_errno == ETIMEDOUT && is_unconnected(f)));
	bool syn = is_unconnected(f) && !f->bytes_in && (f->stuck || was_refused(f));
	bool want = f->stuck && !f->in_op &&
		    (f->last_error == TLSTALL_ERROR_WANT_CONNECT ||
		     f->last_error == TLSTALL_ERROR_WANT_ACCEPT);

	if (!error && !syn && !want)
		return false;
	v->cost_ns = error ? f->age_ns : f->since_progress_ns;
	v->confidence = CONFIDENCE_HIGH;
	say_connect(f, v);
	if (error)
		say(v, "the call ended with errno %u (%s) after %s, nothing was read",
		    f->last_errno, strerror(f->last_errno), span(f->age_ns).s);
	if (error && f->last_errno == ENOTCONN)
		v->fault = FAULT_PROGRAM;
	say_calls(f, v);
	return true;
}

/* Bytes were written but not sent, and none are in flight: they are held on this host. */
static bool is_kept_here(const struct facts *f)
{
	return f->live.ticks && f->tcp.known && f->notsent && !f->live.unacked;
}

static void say_retransmitted(const struct facts *f, struct verdict *v)
{
	uint32_t count = retransmitted(f);

	if (count)
		say(v, "%s %s retransmitted during the handshake", counted(count, "segment").s,
		    count == 1 ? "was" : "were");
}

static void say_loss(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = socket_now(f);

	if (is_kept_here(f))
		say(v,
		    "%s were never sent, though the peer's window has room for %s: a local "
		    "firewall, for instance",
		    size(f->notsent).s, size(f->tcp.window).s);
	if (n && n->unacked)
		say(v,
		    "%s (%s) %s not acknowledged; retransmitted %s, the timeout is now %s",
		    counted(n->unacked, "segment").s, size(n->outq == UINT32_MAX ? 0 : n->outq).s,
		    n->unacked == 1 ? "is" : "are", counted(n->retransmits, "time").s,
		    span(n->rto_us * 1000ull).s);
	if (n && n->snd_mss && f->bytes_out > n->snd_mss)
		say(v,
		    "what we sent (%s) is larger than one segment (%u B): perhaps only large "
		    "packets are lost",
		    size(f->bytes_out).s, n->snd_mss);
	say_retransmitted(f, v);
}

static bool had_nothing_to_send(const struct facts *f)
{
	return f->at_end.ticks && f->at_end.tcp_state && !f->at_end.unacked && !f->at_end.outq;
}

bool judge_PEER_WINDOW_SHUT(const struct facts *f, struct verdict *v)
{
	if (!f->stuck || !f->window_shut)
		return false;
	v->cost_ns = f->since_progress_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "%s wait to be sent, and the peer's window has room for %s", size(f->notsent).s,
	    size(f->tcp.window).s);
	if (f->tcp.probes)
		say(v, "%s found it still shut", counted(f->tcp.probes, "window probe").s);
	say_calls(f, v);
	say_neighbors(f, v);
	return true;
}

/* Data segments that arrived but could not be delivered, because an earlier one is missing. */
static uint32_t lost_before(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *n = socket_now(f);

	if (f->live.ticks && f->tcp.known)
		return f->tcp.out_of_order;
	if (n && start->ticks && n->tcp_state && start->tcp_state && start->data_segs_in &&
	    n->bytes_received == start->bytes_received && n->data_segs_in > start->data_segs_in)
		return n->data_segs_in - start->data_segs_in;
	return 0;
}

bool judge_RX_LOST(const struct facts *f, struct verdict *v)
{
	uint32_t segments = lost_before(f);

	if (!awaits_peer(f) || !segments)
		return false;
	v->cost_ns = f->since_progress_ns;
	v->confidence = f->live.ticks ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	say(v, "%s arrived without %s predecessors; nothing could be read for %s",
	    counted(segments, "segment").s, segments == 1 ? "its" : "their", span(f->since_progress_ns).s);
	say_calls(f, v);
	say_socket(f, v);
	say_neighbors(f, v);
	return true;
}

bool judge_TX_NOT_ACKED(const struct facts *f, struct verdict *v)
{
	bool stuck = f->stuck && (f->unacked || f->unanswered) && !is_unconnected(f);
	bool gave_up = was_given_up(f) && !is_unconnected(f);
	uint64_t waited = awaited_peer_ns(f);
	bool delayed = !f->stuck && waited >= NOTABLE_NS && f->slow && retransmitted(f) &&
		       waited <= losses_ns(f) && !f->leaves_slowly && !f->comes_slowly;

	if (!stuck && !gave_up && !delayed)
		return false;
	v->cost_ns = stuck ? f->since_progress_ns : gave_up ? f->age_ns : waited;
	if (stuck || gave_up)
		v->confidence = CONFIDENCE_HIGH;
	else
		doubt(v, CAUSE_PEER_SILENT);
	if (gave_up && is_unreachable(f)) {
		say(v, "the kernel gave up the connection after %s, with errno %u (%s)",
		    span(f->age_ns).s, f->last_errno, strerror(f->last_errno));
		v->advice = unreachable_advice;
	} else if (gave_up && had_nothing_to_send(f))
		say(v,
		    "the connection timed out after %s (ETIMEDOUT) with nothing to send: "
		    "keepalive probes were not answered",
		    span(f->age_ns).s);
	else if (gave_up)
		say(v, "the kernel gave up sending after %s (ETIMEDOUT)", span(f->age_ns).s);
	if (f->unanswered)
		say(v, "%s %s not answered", counted(f->tcp.probes, "keepalive probe").s,
		    f->tcp.probes == 1 ? "is" : "are");
	if (is_kept_here(f)) {
		v->fault = FAULT_HOST;
		v->advice = "See the rules for outgoing packets: nft list ruleset, iptables -L "
			    "OUTPUT -v; and the queue: tc -s qdisc.";
	}
	if (delayed)
		say(v, "the longest wait was %s", span(waited).s);
	say_loss(f, v);
	if (f->stuck)
		say_calls(f, v);
	say_neighbors(f, v);
	return true;
}

static void say_arrivals(const struct facts *f, struct verdict *v)
{
	say(v, "%s came in %u segments over %s: %s per second", size(f->arrived).s, f->segments,
	    span(f->flight_ns).s, size(f->arrived * S / f->flight_ns).s);
	say(v, "the segments are full and one came every %s: a slow sender would send small ones",
	    span(f->segment_ns).s);
}

static void say_queueing(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = f->live.ticks ? &f->live : &f->at_end;
	uint32_t us = f->at_gap.rtt_us > n->rtt_us ? f->at_gap.rtt_us : n->rtt_us;

	say(v,
	    "we sent %s; a round trip took %s at first and %s later: packets queue up on the path",
	    size(f->bytes_out).s, span(f->rtt_ns).s, span(us * 1000ull).s);
	if (n->unacked && n->outq != UINT32_MAX)
		say(v, "%s of it are not acknowledged yet, the last acknowledgment came %s ago",
		    size(n->outq).s, span(n->last_ack_recv_ms * MS).s);
}

bool judge_NARROW_PATH(const struct facts *f, struct verdict *v)
{
	uint64_t waited = f->time.gap_waiting_ns + f->time.wait_in_call_ns;
	bool ended = f->ok || f->failed;

	if (!f->comes_slowly && !f->leaves_slowly)
		return false;
	v->cost_ns = waited;
	if (f->leaves_slowly) {
		v->confidence = CONFIDENCE_HIGH;
		say_queueing(f, v);
	} else {
		if (f->flight_ns < waited)
			v->cost_ns = f->flight_ns;
		/* within one call, many short waits look like a long one */
		if (ended && f->time.wait_in_call_ns > f->time.gap_waiting_ns)
			v->confidence = CONFIDENCE_LOW;
		say_arrivals(f, v);
		doubt(v, CAUSE_RX_PARTIAL);
	}
	if (ended)
		doubt(v, CAUSE_PEER_SILENT);
	else
		say_calls(f, v);
	say_retransmitted(f, v);
	say_neighbors(f, v);
	return true;
}

/* The ClientHello takes several packets: some middleboxes inspect only the first and drop it. */
static bool hello_is_split(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f) ? socket_now(f) : &f->at_start;

	return n->ticks && n->snd_mss && f->first_flight > n->snd_mss;
}

bool judge_CLIENT_HELLO_DROPPED(const struct facts *f, struct verdict *v)
{
	bool silent = awaits_peer(f) && !f->mid_flight;

	if (f->role != TLSTALL_ROLE_CLIENT || f->bytes_in || f->first_flight <= LARGE_HELLO ||
	    f->hello_retry || sent_early_data(f) || (!silent && !is_cut_off(f)) ||
	    !hello_is_split(f))
		return false;
	v->cost_ns = silent ? f->since_progress_ns : f->age_ns;
	v->confidence = f->others.peers_ok ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	say(v, "ClientHello, %s, needs more than one packet%s", size(f->first_flight).s,
	    is_acknowledged(f) ? " and was acknowledged" : "");
	say(v, silent ? "nothing came for %s" : "the connection was cut after %s",
	    span(v->cost_ns).s);
	say_neighbors(f, v);
	doubt(v, silent ? CAUSE_PEER_SILENT : CAUSE_PEER_CLOSED);
	return true;
}

/* If the segments are full, the next may take this long on a narrow path. */
#define SLOW_SEGMENT_NS (5 * S)

/* Networks do not make packets this small: the sender writes so few bytes at a time. */
#define SMALL_PIECE 300

/* Within a call, many short waits look the same as one long wait in a callback. */
static bool may_be_held(const struct facts *f)
{
	return f->time.wait_in_call_ns > f->time.gap_waiting_ns && held_ns(f) && can_be_callback(f);
}

/* Nothing came for a long time, and then everything: no trickle. Within a call we cannot tell. */
static bool is_one_wait(const struct facts *f, uint64_t waited)
{
	uint64_t longest = awaited_peer_ns(f);

	if (!f->state_wait_flight && f->time.wait_in_call_ns > f->time.gap_waiting_ns)
		return false;
	return longest > waited / 2;
}

/* Many short waits, each far longer than a round trip: the answer trickles in. */
static bool drips(const struct facts *f)
{
	uint64_t waited = f->time.gap_waiting_ns + f->time.wait_in_call_ns;
	uint32_t count = pieces(f);

	if (f->full || may_be_held(f) || f->stuck || !f->slow || count < 5 || has_spun(f) ||
	    waited < SLOW_HANDSHAKE_NS || is_one_wait(f, waited))
		return false;
	return f->rtt_ns ? waited / count > 10 * f->rtt_ns : f->bytes_in / count < SMALL_PIECE;
}

bool judge_RX_PARTIAL(const struct facts *f, struct verdict *v)
{
	bool stops = awaits_peer(f) && f->mid_flight;

	if (!stops && !drips(f))
		return false;
	doubt(v, CAUSE_PEER_SILENT);
	if (stops) {
		v->cost_ns = f->since_progress_ns;
		say(v, "%s came, then nothing for %s",
		    f->bytes_in ? size(f->bytes_in).s
		    : f->role == TLSTALL_ROLE_SERVER ? "a part of what the client sends"
						     : "a part of the peer's answer",
		    span(f->since_progress_ns).s);
		say_calls(f, v);
	} else {
		v->cost_ns = f->time.gap_waiting_ns + f->time.wait_in_call_ns;
		say(v, "%s came in %u pieces over %s",
		    f->bytes_in ? size(f->bytes_in).s : "a part of the peer's answer", pieces(f),
		    span(v->cost_ns).s);
		if (f->rtt_ns)
			say(v, "a round trip takes %s", span(f->rtt_ns).s);
	}
	say_socket(f, v);
	say_neighbors(f, v);
	if (f->role == TLSTALL_ROLE_SERVER)
		v->advice = "Check on the client's side whether it sent everything: tcpdump there. "
			    "If it did, a packet was lost on the way (MTU).";
	if (f->in_op && f->wait != TLSTALL_WAIT_ON_SOCKET) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	} else if (stops && f->memory && !socket_now(f)) {
		doubt_feeding(f, v);
	} else if (stops && f->full && f->since_progress_ns < SLOW_SEGMENT_NS) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_NARROW_PATH);
	} else if (socket_now(f) && socket_now(f)->tcp_state) {
		v->confidence = CONFIDENCE_HIGH;
	}
	return true;
}

bool judge_SLOW_BUT_FINE(const struct facts *f, struct verdict *v)
{
	uint64_t waited = f->time.gap_waiting_ns + f->time.wait_in_call_ns;
	uint64_t longest = awaited_peer_ns(f);
	bool lost = longest > 2 * f->rtt_ns + 100 * MS;

	if (!f->ok || !f->slow || f->rtt_ns < 50 * MS || longest > one_loss_ns(f) ||
	    waited < f->age_ns / 2)
		return false;
	v->cost_ns = waited;
	say(v, "%s of waiting is %s of %s; none took longer than %s", span(waited).s,
	    counted((waited + f->rtt_ns / 2) / f->rtt_ns, "round trip").s, span(f->rtt_ns).s,
	    span(longest ? longest : waited).s);
	if (f->hello_retry)
		say(v, "one of them is a HelloRetryRequest");
	if (lost) {
		v->confidence = CONFIDENCE_LOW;
		say(v, "the longest is as long as one lost and retransmitted packet takes");
	}
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}
