/* SPDX-License-Identifier: Apache-2.0 */
/* The other side: silent, slow, gone; or unknown, where the program moves the bytes. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "judge.h"

static bool is_acknowledged(const struct sight *s)
{
	return s->socket && s->socket->tcp_state && !s->socket->unacked;
}

static void say_silence(const struct sight *s, struct verdict *v)
{
	const char *how = is_acknowledged(s) ? "was acknowledged" : "was sent";

	if (s->h->role == TLSTALL_ROLE_SERVER && !s->h->bytes_out)
		say(v, "no ClientHello came for %s", span(s->f->since_progress_ns).s);
	else
		say(v, "%s %s; nothing came for %s", sent(s).s, how,
		    span(s->f->since_progress_ns).s);
}

static void judge_silence(const struct sight *s, struct verdict *v)
{
	v->cost_ns = s->f->since_progress_ns;
	say_silence(s, v);
	say_calls(s, v);
	say_socket(s, v);
	say_neighbours(s, v);
	if (is_acknowledged(s) && (!s->in_op || s->f->wait == WAIT_ON_SOCKET)) {
		v->confidence = CONFIDENCE_HIGH;
		return;
	}
	if (s->memory) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_BIO_STARVED);
		doubt(v, CAUSE_BIO_NOT_PUMPED);
		doubt(v, CAUSE_APP_NOT_RESUMING);
		return;
	}
	if (!s->socket) {
		doubt(v, CAUSE_TX_NOT_ACKED);
		if (!s->in_op)
			doubt(v, CAUSE_APP_NOT_RESUMING);
	}
	if (!s->h->calls && !s->in_op)
		v->confidence = CONFIDENCE_LOW;
}

static bool judge_slowness(const struct sight *s, struct verdict *v)
{
	uint64_t waited = awaited_peer_ns(s), inside = s->time.wait_in_call_ns;
	bool told = waited >= NOTABLE_NS && waited > one_loss_ns(s);

	if (s->stuck || !s->slow || retransmitted(s) || s->leaves_slowly)
		return false;
	/* no longer than the next segment of a narrow path takes */
	if (s->comes_slowly && (inside > s->time.gap_waiting_ns || waited <= 3 * s->segment_ns))
		return false;
	/* a call that may block hides what it waited for */
	if (!told && !(s->may_block && !s->f->state_wait_ns && inside >= SLOW_HANDSHAKE_NS))
		return false;
	v->cost_ns = told ? waited : inside;
	say(v, "the longest wait for the peer took %s of %s", span(v->cost_ns).s,
	    span(s->f->age_ns).s);
	if (s->rtt_ns)
		say(v, "a round trip takes %s", span(s->rtt_ns).s);
	if (told && s->f->state_wait && *s->f->state_wait)
		say(v, "it began in state \"%s\"", s->f->state_wait);
	if (!told) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	}
	if (s->memory) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_APP_NOT_RESUMING);
	}
	if (!s->rtt_ns)
		doubt(v, CAUSE_TX_NOT_ACKED);
	if (s->full && s->segments > 1 && 2 * s->f->flight_ns >= v->cost_ns) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_NARROW_PATH);
	}
	doubt(v, CAUSE_RX_PARTIAL);
	say_neighbours(s, v);
	v->advice =
		"Ask the peer's side what took it so long: a full accept queue, a busy worker, a "
		"look-up of its own.";
	return true;
}

bool judge_PEER_SILENT(const struct sight *s, struct verdict *v)
{
	if (!awaits_peer(s) || s->mid_flight)
		return judge_slowness(s, v);
	judge_silence(s, v);
	return true;
}

static bool is_hang_up(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	const char *reason = s->f->reason;

	if (!s->failed)
		return false;
	if (h->last_error == ERROR_ZERO_RETURN)
		return true;
	if (h->last_error == ERROR_SSL)
		return reason && strstr(reason, "unexpected eof");
	return h->last_error == ERROR_SYSCALL &&
	       (!h->last_errno || h->last_errno == ECONNRESET || h->last_errno == EPIPE ||
		h->last_errno == ECONNABORTED);
}

/* The program saw it itself, in poll(), and freed the object. */
static bool is_half_closed(const struct sight *s)
{
	const struct tlstall_socket *n = s->socket;

	return s->h->outcome == TLSTALL_OUTCOME_ABANDONED && n &&
	       (n->tcp_state == TCP_CLOSE_WAIT || n->tcp_state == TCP_CLOSE ||
		n->tcp_state == TCP_LAST_ACK);
}

bool judge_PEER_CLOSED(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	bool half = is_half_closed(s);

	if (!half && (!is_hang_up(s) || is_want_mismatch(s)))
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	if (half)
		say(v, "the socket was closed by the peer when the program freed the SSL object");
	else if (h->last_errno && h->last_error == ERROR_SYSCALL)
		say(v, "the call ended with errno %u (%s) after %s", h->last_errno,
		    strerror(h->last_errno), span(s->f->age_ns).s);
	else
		say(v, "the connection ended after %s without a close_notify",
		    span(s->f->age_ns).s);
	say(v, "%s had been read and %s written", size(h->bytes_in).s, size(h->bytes_out).s);
	if (s->f->failed_state && *s->f->failed_state)
		say(v, "in state \"%s\"", s->f->failed_state);
	if (h->role == TLSTALL_ROLE_SERVER && !h->bytes_in) {
		say(v, "nothing was ever read: a port probe or a health check does this");
		v->advice =
			"If it is a load balancer's health check, let it speak TLS or ignore it.";
	}
	if (h->flags & TLSTALL_HS_WANT_MISMATCH && h->last_error == ERROR_SYSCALL) {
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_WANT_FLAG_MISMATCH);
	}
	say_neighbours(s, v);
	return true;
}

bool judge_BIO_STARVED(const struct sight *s, struct verdict *v)
{
	if (!is_starved(s))
		return false;
	v->cost_ns = s->f->since_progress_ns;
	v->confidence = CONFIDENCE_LOW;
	say(v, "memory BIO or BIO pair: nothing was fed in for %s",
	    span(s->f->since_progress_ns).s);
	if (s->h->pending_in == 0 && s->h->pending_out == 0)
		say(v, "0 B wait to be read by OpenSSL, 0 B to be sent");
	if (is_elsewhere(s))
		say(v, "the thread that made the last call does not wait for a socket: it %s",
		    s->f->wait == WAIT_RUNNING ? "runs"
		    : s->f->wait == WAIT_SLEEP ? "sleeps"
					       : "is in futex");
	say_calls(s, v);
	doubt(v, CAUSE_PEER_SILENT);
	doubt(v, CAUSE_APP_NOT_RESUMING);
	return true;
}
