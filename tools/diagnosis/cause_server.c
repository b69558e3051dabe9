/* SPDX-License-Identifier: Apache-2.0 */
/* Servers' traps, and what happens after a first handshake. */
#include <string.h>

#include "judge.h"

#define TLS1_3 0x0304

bool judge_ACCEPT_LOOP_BLOCKED(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	bool inside = s->in_op && s->stuck && awaits_peer(s);
	uint64_t waited = awaited_peer_ns(s);
	bool was = !s->stuck && s->slow && s->may_block && waited >= SLOW_HANDSHAKE_NS &&
		   waited <= s->f->longest_call_ns && s->f->state_wait &&
		   strstr(s->f->state_wait, "before");

	if (h->role != TLSTALL_ROLE_SERVER || h->read.blocking != 1 || !h->thread_handshakes ||
	    (!inside && !was) || (inside && (h->bytes_in || s->f->next_arrived)))
		return false;
	v->cost_ns = inside ? s->f->in_op_ns : waited;
	say(v, "a blocking %s waits for a client that has sent nothing",
	    s->f->in_call_function && *s->f->in_call_function ? s->f->in_call_function
							      : "SSL_accept");
	say(v, "the same thread had made %u handshakes before, and can make none for %s",
	    h->thread_handshakes, span(v->cost_ns).s);
	if (inside)
		say_calls(s, v);
	say_socket(s, v);
	v->confidence = h->thread_handshakes > 1 ? CONFIDENCE_MEDIUM : CONFIDENCE_LOW;
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

bool judge_TICKET_DEADLOCK(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	const struct tlstall_socket *n = s->socket;
	bool ticket = s->f->state && strstr(s->f->state, "session ticket");
	bool writes = s->in_op || h->last_error == ERROR_WANT_WRITE;

	if (h->role != TLSTALL_ROLE_SERVER || !s->stuck || !ticket || !writes || s->unacked)
		return false;
	if (n && n->outq == 0)
		return false;
	v->cost_ns = s->f->since_progress_ns;
	say(v, "stuck for %s writing session tickets", span(v->cost_ns).s);
	say_calls(s, v);
	say_socket(s, v);
	if (n && n->outq != UINT32_MAX) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "the peer takes nothing: %s lie in the send queue", size(n->outq).s);
	} else if (s->memory && h->pending_out && h->pending_out != UINT32_MAX) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "%s lie in the BIO", size(h->pending_out).s);
	} else {
		doubt(v, CAUSE_TX_NOT_ACKED);
	}
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/*
 * Only while it hangs, and only where bytes were consumed after the handshake: a
 * client that waits for an answer looks nearly the same. TCP may have had them before
 * the handshake was over; OpenSSL had not.
 */
bool judge_POST_HANDSHAKE_READ_BLOCK(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	const struct tlstall_socket *now = &s->f->live;
	uint64_t inside = s->f->in_op_ns;
	int64_t since = (int64_t)(bytes_consumed(s->f) - h->bytes_in);

	if (!s->ok || h->role != TLSTALL_ROLE_CLIENT || inside < SLOW_HANDSHAKE_NS ||
	    h->read.blocking != 1 || h->version != TLS1_3 || now->inq || since <= 0)
		return false;
	v->cost_ns = inside;
	v->confidence = CONFIDENCE_LOW;
	say(v, "the first read after the handshake has been inside for %s on a blocking descriptor",
	    span(inside).s);
	say(v, "%s were consumed since, none lie unread: session tickets are such bytes",
	    size((uint64_t)since).s);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

bool judge_RENEGOTIATION_STALL(const struct sight *s, struct verdict *v)
{
	bool refused = s->failed && s->f->reason && strstr(s->f->reason, "renegotiation");

	if (!(s->h->flags & TLSTALL_HS_RENEGOTIATION) && !s->f->finished_before)
		return false;
	if (!s->stuck && !refused)
		return false;
	v->cost_ns = s->f->age_ns;
	say(v, "this object had finished a handshake before; the new one is unfinished after %s",
	    span(s->f->age_ns).s);
	if (refused)
		say(v, "OpenSSL's reason: \"%s\"", s->f->reason);
	say_calls(s, v);
	say_socket(s, v);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}
