/* SPDX-License-Identifier: Apache-2.0 */
/* Mistakes that servers make, and trouble after the first handshake. */
#include <string.h>

#include "diagnosis/reasons.h"
#include "judge.h"

#define TLS1_3 0x0304

/*
 * Others wait for this thread: it alone served some before, or connections wait to be accepted. In a
 * pool, the other threads go on.
 */
static bool has_others(const struct facts *f)
{
	if (f->looked)
		return f->accept_waiting;
	return f->thread_handshakes && !f->others.pool;
}

static void say_others(const struct facts *f, struct verdict *v)
{
	if (f->thread_handshakes)
		say(v, "the same thread made %s before, and has been held up for %s",
		    counted(f->thread_handshakes, "handshake").s, span(v->cost_ns).s);
	if (f->accept_waiting)
		say(v, "%s wait%s to be accepted", counted(f->accept_waiting, "connection").s,
		    f->accept_waiting == 1 ? "s" : "");
}

static void say_client(const struct facts *f, bool waits, struct verdict *v)
{
	const char *function =
		f->in_call_function && *f->in_call_function ? f->in_call_function : "SSL_accept";

	if (!waits)
		say(v, "a blocking %s waited for a client that sent nothing%s", function,
		    f->bytes_in ? " at first" : "");
	else if (came_before(f))
		say(v, "a blocking %s waits for a client that has sent no more than %s", function,
		    size(came_before(f)).s);
	else
		say(v, "a blocking %s waits for a client that has sent nothing", function);
}

bool judge_ACCEPT_LOOP_BLOCKED(const struct facts *f, struct verdict *v)
{
	bool inside = f->in_op && f->stuck && awaits_peer(f);
	uint64_t waited = awaited_peer_ns(f);
	bool was = !f->stuck && f->slow && f->may_block && waited >= SLOW_HANDSHAKE_NS &&
		   waited <= f->longest_call_ns && f->state_wait && strstr(f->state_wait, "before");

	if (f->role != TLSTALL_ROLE_SERVER || f->read.blocking != 1 || !has_others(f) ||
	    (!inside && !was) || (inside && (f->bytes_in || f->next_arrived)))
		return false;
	v->cost_ns = inside ? f->in_op_ns : waited;
	say_client(f, inside, v);
	say_others(f, v);
	if (inside)
		say_calls(f, v);
	say_socket(f, v);
	v->confidence = f->thread_handshakes > 1 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

bool judge_TICKET_DEADLOCK(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = socket_now(f);
	bool ticket = f->state && strstr(f->state, "session ticket");
	bool writes = f->in_op || f->last_error == TLSTALL_ERROR_WANT_WRITE;

	if (f->role != TLSTALL_ROLE_SERVER || !f->stuck || !ticket || !writes || f->unacked)
		return false;
	if (n && n->outq == 0)
		return false;
	v->cost_ns = f->since_progress_ns;
	say(v, "stuck for %s writing session tickets", span(v->cost_ns).s);
	say_calls(f, v);
	say_socket(f, v);
	if (n && n->outq != UINT32_MAX) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "the peer reads nothing: %s are in the send queue", size(n->outq).s);
	} else if (f->memory && f->pending_out && f->pending_out != UINT32_MAX) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "%s are in the BIO", size(f->pending_out).s);
	} else {
		doubt(v, CAUSE_TX_NOT_ACKED);
	}
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/* The client has written something since the handshake: it may well wait for an answer to that. */
static bool has_asked(const struct facts *f)
{
	uint64_t taken = bytes_taken(f);

	return taken != UINT64_MAX && taken > f->bytes_out + 1;
}

/* The kernel's times are this coarse. */
#define COARSE_NS (10 * MS)

/*
 * A program that reads because poll() saw bytes calls after they came. One that waits for its
 * server's greeting calls at once, and the tickets come a round trip later.
 */
static bool was_there_before(const struct tlstall_socket *now, uint64_t inside)
{
	return now->last_data_recv_ms * MS + COARSE_NS >= inside;
}

/*
 * Only while it hangs, and only if bytes were consumed after the handshake: otherwise this looks
 * almost like a client that waits for an answer. TCP may have received those bytes before the
 * handshake was over, but OpenSSL had not read them.
 */
bool judge_POST_HANDSHAKE_READ_BLOCK(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *now = &f->live;
	uint64_t inside = f->in_op_ns;
	int64_t since = (int64_t)(bytes_consumed(f) - f->bytes_in);

	if (!f->ok || f->role != TLSTALL_ROLE_CLIENT || inside < SLOW_HANDSHAKE_NS ||
	    f->read.blocking != 1 || !was_there_before(now, inside) || f->version != TLS1_3 ||
	    now->inq || since <= 0 || has_asked(f))
		return false;
	v->cost_ns = inside;
	v->confidence = CONFIDENCE_LOW;
	say(v,
	    "the first read after the handshake has been waiting for %s on a blocking descriptor",
	    span(inside).s);
	say(v, "%s were read since, none are unread: session tickets look like this",
	    size((uint64_t)since).s);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

bool judge_RENEGOTIATION_STALL(const struct facts *f, struct verdict *v)
{
	bool failed = f->failed || has_failed_later(f);
	bool refused = failed && f->reason && strstr(f->reason, "renegotiation");

	if (!(f->flags & TLSTALL_HS_RENEGOTIATION) && !f->finished_before)
		return false;
	if (!f->stuck && !refused)
		return false;
	v->cost_ns = f->age_ns;
	if (refused) {
		say(v, "this object had finished a handshake before; a new one was refused");
		say(v, "OpenSSL's reason: \"%s\"", f->reason);
		say_alerts(f, v);
		v->fault = FAULT_CONFIGURATION;
		v->advice =
			"Do not renegotiate with a side that forbids it (Apache does for "
			"SSLVerifyClient "
			"in a directory): ask for a client certificate at once, or use TLS 1.3.";
		return true;
	}
	say(v, "this object had finished a handshake before; the new one is unfinished after %s",
	    span(f->age_ns).s);
	say_calls(f, v);
	say_socket(f, v);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}
