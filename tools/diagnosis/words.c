/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of a verdict: figures first, no adjective that is not measured. */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>

#include "judge.h"

struct text span(uint64_t ns)
{
	struct text t;
	double us = (double)ns / 1e3;

	if (us < 1e3)
		snprintf(t.s, sizeof(t.s), "%.0f us", us);
	else if (us < 1e5)
		snprintf(t.s, sizeof(t.s), "%.1f ms", us / 1e3);
	else if (us < 1e6)
		snprintf(t.s, sizeof(t.s), "%.0f ms", us / 1e3);
	else if (us < 6e8)
		snprintf(t.s, sizeof(t.s), "%.1f s", us / 1e6);
	else
		snprintf(t.s, sizeof(t.s), "%.0f min", us / 6e7);
	return t;
}

struct text size(uint64_t bytes)
{
	struct text t;

	if (bytes < 10000)
		snprintf(t.s, sizeof(t.s), "%u B", (unsigned)bytes);
	else
		snprintf(t.s, sizeof(t.s), "%.1f KB", (double)bytes / 1e3);
	return t;
}

struct text error_word(uint8_t error)
{
	static const char *const words[] = {
		"success",	    "SSL",	  "WANT_READ",	    "WANT_WRITE",
		"WANT_X509_LOOKUP", "SYSCALL",	  "ZERO_RETURN",    "WANT_CONNECT",
		"WANT_ACCEPT",	    "WANT_ASYNC", "WANT_ASYNC_JOB", "WANT_CLIENT_HELLO_CB",
		"WANT_RETRY_VERIFY"};
	struct text t;

	if (error < sizeof(words) / sizeof(words[0]))
		snprintf(t.s, sizeof(t.s), "%s", words[error]);
	else
		snprintf(t.s, sizeof(t.s), "error %u", error);
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

struct text sent(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	bool hello = h->role == TLSTALL_ROLE_CLIENT && !h->bytes_in && !s->f->hello_retry;
	uint64_t bytes = hello && h->first_flight ? h->first_flight : h->bytes_out;
	struct text t;

	if (bytes)
		snprintf(t.s, sizeof(t.s), "%s, %.16s,", hello ? "ClientHello" : "what we sent",
			 size(bytes).s);
	else
		snprintf(t.s, sizeof(t.s), "%s", hello ? "ClientHello" : "what we sent");
	return t;
}

static const char *or_call(const char *function)
{
	return function && *function ? function : "the call";
}

static void say_inside(const struct sight *s, struct verdict *v)
{
	const struct facts *f = s->f;
	const char *function = or_call(f->in_call_function);

	if (f->wait_syscall && *f->wait_syscall && f->wait_fd >= 0)
		say(v, "%s has been inside for %s, in %s on descriptor %d", function,
		    span(f->in_op_ns).s, f->wait_syscall, f->wait_fd);
	else if (f->wait_syscall && *f->wait_syscall)
		say(v, "%s has been inside for %s, in %s", function, span(f->in_op_ns).s,
		    f->wait_syscall);
	else if (f->process_alive)
		say(v, "%s has been inside for %s", function, span(f->in_op_ns).s);
	else
		say(v, "%s was inside for %s when the process ended", function,
		    span(f->in_op_ns).s);
}

void say_calls(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;

	if (s->in_op)
		say_inside(s, v);
	else if (h->calls)
		say(v, "%u call%s; the last, %s, ended with %s %s %s", h->calls,
		    h->calls == 1 ? "" : "s", or_call(s->f->last_function),
		    error_word(h->last_error).s, span(s->f->idle_ns).s,
		    s->f->process_alive && !h->end ? "ago" : "before the end");
	if (s->f->state && *s->f->state)
		say(v, "state \"%s\"%s", s->f->state,
		    s->f->next_arrived ? ", and the next message has begun to arrive" : "");
}

static void say_queue(struct verdict *v, const char *who, const struct tlstall_socket *n)
{
	if (n->inq == UINT32_MAX)
		say(v, "%s: %u segments unacknowledged, round trip %s", who, n->unacked,
		    span(n->rtt_us * 1000ull).s);
	else
		say(v, "%s: %s unread, %s unsent or unacknowledged, round trip %s", who,
		    size(n->inq).s, size(n->outq == UINT32_MAX ? 0 : n->outq).s,
		    span(n->rtt_us * 1000ull).s);
}

void say_socket(const struct sight *s, struct verdict *v)
{
	const struct tlstall_socket *n = s->socket;

	if (!n)
		return;
	if (n->tcp_state)
		say_queue(v, s->f->live.ticks ? "the socket now" : "the socket at the end", n);
	else if (n->inq != UINT32_MAX)
		say(v, "the socket holds %s unread", size(n->inq).s);
}

void say_neighbours(const struct sight *s, struct verdict *v)
{
	if (s->f->peers_ok || s->f->peers_stalled)
		say(v, "other handshakes with this peer: %u went well, %u stalled or failed",
		    s->f->peers_ok, s->f->peers_stalled);
}

void say_alerts(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;

	for (unsigned i = 0; i < h->alert_count && i < sizeof(h->alerts) / sizeof(h->alerts[0]);
	     i++)
		say(v, "%s sent the %s alert %u (%s) after %s",
		    h->alerts[i].by_peer ? "the peer" : "we",
		    h->alerts[i].level == 2 ? "fatal" : "warning", h->alerts[i].description,
		    alert_word(h->alerts[i].description), span(h->alerts[i].at_us * 1000ull).s);
}

void say_split(const struct sight *s, struct verdict *v)
{
	const struct time_split *t = &s->time;

	say(v,
	    "of %s: %s on CPU in OpenSSL, %s waiting in it, %s between calls for the peer, %s "
	    "between calls though ready, %s else",
	    span(t->total_ns).s, span(t->cpu_ns).s, span(t->wait_in_call_ns).s,
	    span(t->gap_waiting_ns).s, span(t->gap_ready_ns).s, span(t->other_ns).s);
}
