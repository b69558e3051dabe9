/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a verdict: figures first, and no adjective without a measurement. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "judge.h"

struct text span(uint64_t ns)
{
	struct text t;

	word_duration(ns, t.s);
	return t;
}

struct text size(uint64_t bytes)
{
	struct text t;

	word_size(bytes, t.s);
	return t;
}

struct text counted(uint64_t count, const char *noun)
{
	struct text t;

	snprintf(t.s, sizeof(t.s), "%llu %.32s%s", (unsigned long long)count, noun, word_s(count));
	return t;
}

void say(struct verdict *v, const char *format, ...)
{
	va_list arguments;

	if (v->evidence_count >= VERDICT_EVIDENCE)
		return;
	va_start(arguments, format);
	vsnprintf(v->evidence[v->evidence_count++], sizeof(v->evidence[0]), format, arguments);
	va_end(arguments);
}

void doubt(struct verdict *v, enum cause cause)
{
	if (v->not_told_from_count < VERDICT_NOT_TOLD_FROM)
		v->not_told_from[v->not_told_from_count++] = cause;
}

struct text sent(const struct facts *f)
{
	bool hello = f->role == TLSTALL_ROLE_CLIENT && !answered_bytes(f) && !f->hello_retry;
	uint64_t bytes = hello && f->first_flight ? f->first_flight : f->bytes_out;
	const char *what = sent_early_data(f) ? "ClientHello and early data" : "ClientHello";
	struct text t;

	if (!hello)
		what = "what we sent";
	/* over UDP, these may be several of them: from outside, nobody knows */
	if (hello && f->looked && is_datagram(f))
		bytes = 0;
	if (bytes)
		snprintf(t.s, sizeof(t.s), "%s, %.16s,", what, size(bytes).s);
	else
		snprintf(t.s, sizeof(t.s), "%s", what);
	return t;
}

static const char *or_call(const char *function)
{
	return function && *function ? function : "the call";
}

/* For a handshake found from outside, nobody knows when it began or how often it was called. */
static void say_looked(const struct facts *f, struct verdict *v)
{
	const char *result = f->last_error ? word_error_short(f->last_error) : "success";

	if (f->in_op)
		say(v, "%s has been inside for at least %s", or_call(f->in_call_function),
		    span(f->in_op_ns).s);
	else if (f->calls)
		say(v, "no call is in progress; the last one ended with %s, at least %s ago",
		    result, span(f->idle_ns).s);
}

/* Calls, state and times stand above the evidence. */
void say_calls(const struct facts *f, struct verdict *v)
{
	const char *function = or_call(f->in_call_function);

	if (f->looked)
		say_looked(f, v);
	if (f->in_op && f->wait_syscall && *f->wait_syscall && f->wait_fd >= 0)
		say(v, "%s waits in %s on descriptor %d", function, f->wait_syscall, f->wait_fd);
	else if (f->in_op && f->wait_syscall && *f->wait_syscall)
		say(v, "%s waits in %s", function, f->wait_syscall);
	if (f->left)
		say(v, "%s never returned: %s", function,
		    f->entered ? "its thread has ended" : "longjmp(), or its thread was canceled");
	if (f->next_arrived)
		say(v, "the next message has begun to arrive");
}

static void say_queue(struct verdict *v, const char *who, const struct tlstall_socket *n)
{
	if (n->inq == UINT32_MAX)
		say(v, "%s: %s unacknowledged, round-trip time %s", who,
		    counted(n->unacked, "segment").s, span(n->rtt_us * 1000ull).s);
	else
		say(v, "%s: %s unread, %s unsent or unacknowledged, round-trip time %s", who,
		    size(n->inq).s, size(n->outq == UINT32_MAX ? 0 : n->outq).s,
		    span(n->rtt_us * 1000ull).s);
}

/* Explains why an object has neither peer nor queues. */
static void say_fitting(const struct facts *f, struct verdict *v)
{
	if (f->fitting > 1 && f->idle)
		say(v,
		    "its socket is not known: %u connections of the process fit, and none has "
		    "bytes unread",
		    f->fitting);
	else if (f->fitting > 1)
		say(v, "its socket is not known: %u connections of the process fit", f->fitting);
}

void say_socket(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = socket_now(f);

	if (!n)
		say_fitting(f, v);
	if (!n)
		return;
	if (f->guessed)
		say(v, "its socket is taken to be the only connection of the process that can have "
		       "carried its bytes");
	if (n->tcp_state)
		say_queue(v, f->live.ticks ? "the socket now" : "the socket at the end", n);
	else if (n->inq != UINT32_MAX)
		say(v, "the socket holds %s unread", size(n->inq).s);
}

void say_only(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = &f->only;

	if (!n->ticks)
		say_fitting(f, v);
	if (n->ticks && n->tcp_state && n->inq != UINT32_MAX)
		say(v,
		    "the process's only TCP connection: %s acknowledged, %s unsent or "
		    "unacknowledged, %s received, %s unread",
		    size(n->bytes_acked ? n->bytes_acked - 1 : 0).s, size(n->outq).s,
		    size(n->bytes_received).s, size(n->inq).s);
}

/* Where only one connection fits, or all that do are idle, it does not matter which it is. */
void doubt_feeding(const struct facts *f, struct verdict *v)
{
	v->confidence = is_fed(f) && (are_all_idle(f) || is_only_quiet(f)) ? CONFIDENCE_MEDIUM
									   : CONFIDENCE_LOW;
	if (f->only.ticks)
		say_only(f, v);
	doubt(v, CAUSE_BIO_STARVED);
	if (!is_fed(f))
		doubt(v, CAUSE_BIO_NOT_PUMPED);
	doubt(v, CAUSE_APP_NOT_RESUMING);
}

void say_signature(const struct facts *f, struct verdict *v)
{
	char word[WORD_SIZE];

	if (f->key_type && f->key_bits)
		say(v, "the server's key: %s, %u bits", word_key(f->key_type, word), f->key_bits);
	else if (f->key_type)
		say(v, "the server's key: %s", word_key(f->key_type, word));
	if (f->sign_ns >= MS / 2)
		say(v, "the signature of this handshake took %s", span(f->sign_ns).s);
}

void say_neighbors(const struct facts *f, struct verdict *v)
{
	if (f->others.peers_ok || f->others.peers_stalled)
		say(v, "other handshakes with this peer: %u succeeded, %u stalled or failed",
		    f->others.peers_ok, f->others.peers_stalled);
}

void say_alerts(const struct facts *f, struct verdict *v)
{
	char word[WORD_SIZE];

	for (unsigned i = 0; i < f->alert_count && i < sizeof(f->alerts) / sizeof(f->alerts[0]);
	     i++)
		say(v, "%s sent the %s alert %u (%s) after %s",
		    f->alerts[i].by_peer ? "the peer" : "we", word_alert_level(f->alerts[i].level),
		    f->alerts[i].description, word_alert(f->alerts[i].description, word),
		    span(f->alerts[i].at_us * 1000ull).s);
}

void say_split(const struct facts *f, struct verdict *v)
{
	const struct time_split *t = &f->time;

	say(v,
	    "of %s: %s on the CPU in OpenSSL, %s waiting in OpenSSL, %s waiting for the peer, %s "
	    "not called although ready, %s elsewhere",
	    span(t->total_ns).s, span(t->cpu_ns).s, span(t->wait_in_call_ns).s,
	    span(t->gap_waiting_ns).s, span(t->gap_ready_ns).s, span(t->other_ns).s);
}
