/* SPDX-License-Identifier: Apache-2.0 */
/* The peer: silent, slow or gone; or unknown where the program moves the bytes itself. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "judge.h"
#include "diagnosis/reasons.h"

/*
 * A server's OpenSSL has read nothing, but something was read from the connection: the
 * ClientHello, or a PROXY header before it. A server that has answered spoke its protocol before
 * TLS (STARTTLS): then only what came after its last answer can be the ClientHello. The end of the
 * stream counts as one byte; so does a SYN, but only for the side that connected.
 */
static bool is_swallowed(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	if (f->role != TLSTALL_ROLE_SERVER || f->bytes_in || f->bytes_out || !counts_bytes(f) ||
	    !n || !n->tcp_state || n->unacked || n->inq == UINT32_MAX ||
	    n->bytes_received <= n->inq + 1)
		return false;
	return !n->bytes_acked || (n->bytes_received > n->inq + SMALLEST_HELLO &&
				   n->last_data_recv_ms < n->last_data_sent_ms);
}

/* This server waits for a ClientHello. */
static bool awaits_hello(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_SERVER && !f->bytes_out &&
	       (counts_bytes(f) || !f->state || strstr(f->state, "before"));
}

static const char swallowed_advice[] =
	"Check whether the program itself reads from the connection before TLS (a PROXY header, a "
	"look at the first bytes without MSG_PEEK): OpenSSL needs all of the ClientHello.";

static void say_silence(const struct facts *f, struct verdict *v)
{
	const char *how = is_acknowledged(f) ? "was acknowledged" : "was sent";

	if (awaits_hello(f) && came_before(f))
		say(v, "nothing came for %s; before that, the connection had brought %s",
		    span(f->since_progress_ns).s, size(came_before(f)).s);
	else if (awaits_hello(f))
		say(v, "no ClientHello came for %s", span(f->since_progress_ns).s);
	else
		say(v, "%s %s; nothing came for %s", sent(f).s, how, span(f->since_progress_ns).s);
}

static const char client_advice[] =
	"Ask the client's side: does it speak TLS, did it get what we sent, does its program hang? "
	"A port probe sends nothing either: give clients a deadline.";

static void judge_swallowed(const struct facts *f, struct verdict *v)
{
	if (socket_now(f)->bytes_acked)
		say(v, "the last of it came after our last answer, and OpenSSL has not read it");
	v->confidence = CONFIDENCE_LOW;
	v->advice = swallowed_advice;
}

static void doubt_without_socket(const struct facts *f, struct verdict *v)
{
	if (are_all_idle(f)) {
		doubt(v, CAUSE_APP_NOT_RESUMING);
		return;
	}
	v->confidence = CONFIDENCE_LOW;
	doubt(v, CAUSE_TX_NOT_ACKED);
	if (!f->in_op)
		doubt(v, CAUSE_APP_NOT_RESUMING);
	/* its connection was looked for in vain: closed, or the number reused */
	if (f->built_in && f->wait != TLSTALL_WAIT_NOT_LOOKED && f->wait != TLSTALL_WAIT_GONE) {
		say(v, "the kernel knows of no connection on its descriptor: it was reset, or is "
		       "in another network namespace");
		doubt(v, CAUSE_BAD_DESCRIPTOR);
		doubt(v, CAUSE_PEER_CLOSED);
	}
}

static const char *where_else(const struct facts *f)
{
	return f->wait == TLSTALL_WAIT_RUNNING ? "runs"
	       : f->wait == TLSTALL_WAIT_SLEEP ? "sleeps"
					       : "is in futex";
}

static void judge_silence(const struct facts *f, struct verdict *v)
{
	v->cost_ns = f->since_progress_ns;
	say_silence(f, v);
	say_alerts(f, v);
	say_calls(f, v);
	if (f->memory && is_elsewhere(f))
		say(v, "the thread would not notice at once: it %s", where_else(f));
	say_socket(f, v);
	say_neighbors(f, v);
	if (f->role == TLSTALL_ROLE_SERVER)
		v->advice = client_advice;
	if (awaits_hello(f) && came_before(f))
		doubt(v, CAUSE_RX_PARTIAL);
	if (f->role == TLSTALL_ROLE_CLIENT && (answered_bytes(f) || f->hello_retry))
		v->advice = "Ask the peer's side: did it get what we sent, does its worker hang?";
	if (is_datagram(f)) {
		say_no_answer_in_datagrams(f, v);
		return;
	}
	if (is_swallowed(f)) {
		judge_swallowed(f, v);
		return;
	}
	if (is_acknowledged(f) && (!f->in_op || f->wait == TLSTALL_WAIT_ON_SOCKET)) {
		v->confidence = CONFIDENCE_HIGH;
		return;
	}
	if (f->memory) {
		doubt_feeding(f, v);
		return;
	}
	if (f->in_op && may_be_own_socket(f))
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	if (!socket_now(f))
		doubt_without_socket(f, v);
	if (!f->calls && !f->in_op)
		v->confidence = CONFIDENCE_LOW;
}

/*
 * A look found that the thread no longer waited for the peer: it was stopped, or the peer's bytes
 * had arrived. The shim could not see that at the end of the gap.
 */
static bool was_held_here(const struct facts *f)
{
	const struct facts *then = f->then;

	if (!then)
		return false;
	if (then->in_op)
		return then->wait == TLSTALL_WAIT_STOPPED || is_left_unread(then);
	return then->wait == TLSTALL_WAIT_STOPPED ||
	       (!f->longest_gap_ready_ms && open_gap_ready(then) >= STALL_NS);
}

/* `told`: the time line shows the wait. */
static void doubt_slowness(const struct facts *f, struct verdict *v, bool told)
{
	bool narrow = f->full && f->segments > 1 && 2 * f->flight_ns >= v->cost_ns;

	if (!told || f->memory || !f->rtt_ns || narrow)
		v->confidence = CONFIDENCE_LOW;
	if (!told)
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	if (f->memory)
		doubt(v, CAUSE_APP_NOT_RESUMING);
	if (!f->rtt_ns || retransmitted(f))
		doubt(v, CAUSE_TX_NOT_ACKED);
	if (narrow)
		doubt(v, CAUSE_NARROW_PATH);
	doubt(v, CAUSE_RX_PARTIAL);
}

static bool judge_slowness(const struct facts *f, struct verdict *v)
{
	uint64_t waited = awaited_peer_ns(f), inside = f->time.wait_in_call_ns;
	bool told = waited >= NOTABLE_NS && waited > one_loss_ns(f);
	bool lost = retransmitted(f);

	if (f->stuck || !f->slow || f->leaves_slowly || was_held_here(f) ||
	    (lost && waited <= losses_ns(f)))
		return false;
	/* the wait was no longer than a narrow path takes for its next segment */
	if (f->comes_slowly && (inside > f->time.gap_waiting_ns || waited <= 3 * f->segment_ns))
		return false;
	/* a call on a socket that may block does not show what it waited for */
	if (!told && !(f->may_block && !f->state_wait_ns && inside >= SLOW_HANDSHAKE_NS))
		return false;
	v->cost_ns = told ? waited : inside;
	say(v, "the longest wait for the peer was %s of %s", span(v->cost_ns).s, span(f->age_ns).s);
	if (f->rtt_ns)
		say(v, "a round trip takes %s", span(f->rtt_ns).s);
	if (told && f->state_wait && *f->state_wait)
		say(v, "it began in state \"%s\"", f->state_wait);
	if (is_shut_here(f))
		say(v, "it ended because this side shut the connection down");
	if (lost)
		say(v, "%s %s not explain it", counted(retransmitted(f), "retransmitted segment").s,
		    retransmitted(f) == 1 ? "does" : "do");
	doubt_slowness(f, v, told);
	say_neighbors(f, v);
	v->advice = "Ask the peer's side what took so long: a full accept queue, a busy worker, a "
		    "lookup of its own.";
	if (f->role == TLSTALL_ROLE_SERVER)
		v->advice = "Ask the client's side what took so long: a busy program, a lookup of "
			    "its own, a slow line.";
	if (is_datagram(f))
		say_no_answer_in_datagrams(f, v);
	return true;
}

bool judge_PEER_SILENT(const struct facts *f, struct verdict *v)
{
	if (!awaits_peer(f) || f->mid_flight)
		return judge_slowness(f, v);
	judge_silence(f, v);
	return true;
}

/* The program noticed it by itself, in poll(), and freed the object. */
static bool is_half_closed(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	return f->outcome == TLSTALL_OUTCOME_ABANDONED && n && !is_unconnected(f) &&
	       (n->tcp_state == TCP_CLOSE_WAIT || n->tcp_state == TCP_CLOSE ||
		n->tcp_state == TCP_LAST_ACK);
}

bool judge_PEER_CLOSED(const struct facts *f, struct verdict *v)
{
	bool half = is_half_closed(f);

	if (!half && (!is_hang_up(f) || is_want_mismatch(f) || is_shut_here(f)))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	if (half)
		say(v, "the peer had closed the connection when the program gave up");
	else if (f->last_errno && f->last_error == TLSTALL_ERROR_SYSCALL)
		say(v, "the call ended with errno %u (%s) after %s", f->last_errno,
		    strerror(f->last_errno), span(f->age_ns).s);
	else if (has_close_notify(f))
		say(v, "the peer ended the connection after %s with a close_notify",
		    span(f->age_ns).s);
	else
		say(v, "the connection ended after %s without a close_notify", span(f->age_ns).s);
	say(v, "%s had been read and %s written", size(f->bytes_in).s, size(f->bytes_out).s);
	say_unanswered(f, v);
	if (is_swallowed(f)) {
		say(v, "OpenSSL has read nothing, though the connection had brought %s",
		    size(came_before(f) - 1).s);
		v->confidence = CONFIDENCE_LOW;
		v->advice = swallowed_advice;
	} else if (f->role == TLSTALL_ROLE_SERVER && !f->bytes_in) {
		say(v, f->age_ns < SLOW_HANDSHAKE_NS
			       ? "nothing was ever read: a port probe or a health check looks like "
				 "this"
			       : "nothing was ever read: the client sent nothing");
		v->advice = f->age_ns < SLOW_HANDSHAKE_NS
				    ? "If it is a load balancer's health check, have it speak TLS, "
				      "or ignore it."
				    : "Give silent clients a deadline; find out who they are.";
	}
	/* a write fails so after the peer's reset, and after a shutdown() of our own */
	if (f->last_error == TLSTALL_ERROR_SYSCALL && f->last_errno == EPIPE) {
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_ABANDONED);
	}
	if (f->flags & TLSTALL_HS_WANT_MISMATCH && f->last_error == TLSTALL_ERROR_SYSCALL) {
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_WANT_FLAG_MISMATCH);
	}
	say_neighbors(f, v);
	return true;
}

bool judge_BIO_STARVED(const struct facts *f, struct verdict *v)
{
	if (!is_starved(f))
		return false;
	v->cost_ns = f->since_progress_ns;
	v->confidence = CONFIDENCE_LOW;
	say(v, "memory BIO or BIO pair: nothing was written into it for %s",
	    span(f->since_progress_ns).s);
	if (f->pending_in == 0 && f->pending_out == 0)
		say(v, "0 B wait to be read by OpenSSL, 0 B to be sent");
	if (lies_in_bio(f))
		say(v,
		    "all that OpenSSL wrote, %s, is still in the BIO after %s: forgotten, or "
		    "held by a protocol underneath until its own peer answers",
		    size(f->pending_out).s, counted(f->calls, "call").s);
	say_only(f, v);
	if (is_elsewhere(f))
		say(v, "the thread that made the last call does not wait for a socket: it %s",
		    where_else(f));
	say_calls(f, v);
	doubt(v, CAUSE_PEER_SILENT);
	if (lies_in_bio(f))
		doubt(v, CAUSE_BIO_NOT_PUMPED);
	doubt(v, CAUSE_APP_NOT_RESUMING);
	return true;
}
