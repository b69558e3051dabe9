/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes before TLS: a port without TLS, unread plaintext, an unexpected PROXY header. */
#include <netinet/tcp.h>

#include "judge.h"
#include "diagnosis/reasons.h"
#include "words/words.h"

/* bytes_acked counts the SYN. */
static uint64_t carried_out(const struct facts *f)
{
	const struct tlstall_socket *n = &f->at_start;
	uint64_t unacked = n->outq == UINT32_MAX ? 0 : n->outq;
	uint64_t acked = n->bytes_acked ? n->bytes_acked - 1 : 0;

	return n->ticks && n->tcp_state ? acked + unacked : 0;
}

static uint64_t carried_in(const struct facts *f)
{
	return f->at_start.ticks && f->at_start.tcp_state ? f->at_start.bytes_received : 0;
}

static uint32_t unread(const struct facts *f)
{
	uint32_t inq = f->at_start.inq;

	return carried_in(f) && inq != UINT32_MAX ? inq : 0;
}

/*
 * Both sides spoke before TLS. The end of the stream counts as one received byte, and PostgreSQL's
 * answer to SSLRequest is one byte.
 */
static bool has_talked(const struct facts *f)
{
	uint64_t end = f->at_start.tcp_state != TCP_ESTABLISHED;

	return carried_out(f) && carried_in(f) > unread(f) + end;
}

/* It sent something without waiting for an answer. */
static bool sent_before(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_CLIENT && carried_out(f) && !has_talked(f);
}

static bool left_over(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_CLIENT && has_talked(f) && unread(f);
}

/* Behind the program's own BIO we cannot see whether bytes were sent before TLS. */
static bool is_unseen(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_CLIENT && !f->at_start.tcp_state;
}

static bool is_plaintext(const struct facts *f, struct refusal *r)
{
	*r = refusal_of(f);
	return !r->by_peer && r->meaning.cause == CAUSE_PLAINTEXT_PEER;
}

bool judge_PLAINTEXT_PEER(const struct facts *f, struct verdict *v)
{
	struct refusal r;

	if (!is_plaintext(f, &r))
		return false;
	tell_refusal(f, &r, v);
	if (f->state_count > 4) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_PROTOCOL_MISMATCH);
	}
	if (f->role == TLSTALL_ROLE_SERVER && !r.meaning.advice) {
		v->advice = "The client's first bytes are not a TLS record: have it use TLS on "
			    "this port; or they are a load balancer's PROXY header (send-proxy) "
			    "that is not expected here, or plain text from before STARTTLS.";
		doubt(v, CAUSE_PROXY_HEADER);
	} else if (is_unseen(f)) {
		if (v->confidence == CONFIDENCE_HIGH)
			v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_PROXY_HEADER);
		doubt(v, CAUSE_STARTTLS_LEFTOVER);
	} else if (has_talked(f)) {
		say(v, "the connection had carried %s out and %s in before TLS",
		    size(carried_out(f)).s, size(carried_in(f)).s);
		v->advice = "Check what the server answered before TLS (to STARTTLS, AUTH TLS, a "
			    "proxy's "
			    "CONNECT): did it agree, and was all of its answer read?";
		v->confidence = CONFIDENCE_MEDIUM;
		doubt(v, CAUSE_STARTTLS_LEFTOVER);
	}
	return true;
}

/* Bytes that had arrived before our ClientHello cannot be the answer to it. */
bool judge_STARTTLS_LEFTOVER(const struct facts *f, struct verdict *v)
{
	struct refusal r;

	if (!is_plaintext(f, &r) || !left_over(f))
		return false;
	tell_refusal(f, &r, v);
	say(v, "the connection had carried %s out and %s in before TLS", size(carried_out(f)).s,
	    size(carried_in(f)).s);
	say(v,
	    "%s of that were unread when TLS began: OpenSSL found them where it expected the "
	    "ServerHello",
	    size(unread(f)).s);
	return true;
}

/* Only a proxy speaks before TLS without waiting for an answer. */
bool judge_PROXY_HEADER(const struct facts *f, struct verdict *v)
{
	struct refusal r = refusal_of(f);
	bool cut = is_cut_off(f);
	bool alert = r.by_peer && f->bytes_in < 16;
	bool plain = is_plaintext(f, &r);

	if (!sent_before(f) || (!cut && !alert && !plain))
		return false;
	tell_refusal(f, &r, v);
	v->confidence = cut ? CONFIDENCE_LOW : CONFIDENCE_MEDIUM;
	say(v,
	    "%s were sent before the ClientHello and not answered: a PROXY header looks like this",
	    size(carried_out(f)).s);
	doubt(v, cut ? CAUSE_PEER_CLOSED : CAUSE_PLAINTEXT_PEER);
	return true;
}

void say_unanswered(const struct facts *f, struct verdict *v)
{
	if (f->role != TLSTALL_ROLE_CLIENT || f->bytes_in || f->alert_count)
		return;
	say(v, "the peer never sent a byte of TLS: it did not read our ClientHello, or refused it");
	doubt(v, CAUSE_PROXY_HEADER);
	v->advice = "Read the peer's log from that moment. A peer that closes before it sends "
		    "anything may have an access list, a connection limit, no TLS on that port, or "
		    "expect a PROXY header; or a device on the path closes the connection.";
}
