/* SPDX-License-Identifier: Apache-2.0 */
/* Event loops: late, deaf, spinning, or not moving the bytes. */
#include "judge.h"

uint64_t ready_ns(const struct sight *s)
{
	return s->time.gap_ready_ns;
}

/* Ready for long enough, and a fair part of the whole. */
static bool was_late(const struct sight *s)
{
	uint64_t ready = ready_ns(s);

	if (s->stuck && open_gap_ready(s->f) >= STALL_NS)
		return true;
	return ready >= NOTABLE_NS && ready >= s->f->age_ns / 10;
}

static bool is_stopped(const struct sight *s)
{
	return s->stuck && s->f->wait == WAIT_STOPPED;
}

/* The loop is alive: it polls while this socket is ready, or serves others meanwhile. */
static bool loop_goes_on(const struct sight *s)
{
	return s->f->thread_other_ops ||
	       (!s->in_op && s->f->wait == WAIT_POLL && open_gap_ready(s->f));
}

static void say_ready(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	const struct tlstall_socket *n = open_gap_ready(s->f) ? s->socket : &h->at_gap;
	uint8_t want = n == &h->at_gap ? h->longest_gap_want : h->last_error;

	if (want == ERROR_WANT_WRITE)
		say(v,
		    "after WANT_WRITE all had been sent and acknowledged: there was room to "
		    "write for %s",
		    span(ready_ns(s)).s);
	else if (n->ticks && n->inq && n->inq != UINT32_MAX)
		say(v, "after %s %s lay unread in the socket, for %s in all", error_word(want).s,
		    size(n->inq).s, span(ready_ns(s)).s);
	else
		say(v, "the socket was ready for %s in all", span(ready_ns(s)).s);
	if (n == &h->at_gap)
		say(v, "the longest gap between two calls took %s", span(s->f->longest_gap_ns).s);
	else
		say_calls(s, v);
}

bool judge_WRONG_INTEREST(const struct sight *s, struct verdict *v)
{
	if (!was_late(s) || !loop_goes_on(s))
		return false;
	v->cost_ns = ready_ns(s);
	say_ready(s, v);
	if (s->f->thread_other_ops)
		say(v, "meanwhile the thread made %u calls on other SSL objects",
		    s->f->thread_other_ops);
	if (s->f->wait == WAIT_POLL) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "the thread waits in %s and is not woken by it",
		    s->f->wait_syscall && *s->f->wait_syscall ? s->f->wait_syscall : "poll");
	}
	doubt(v, CAUSE_APP_NOT_RESUMING);
	return true;
}

bool judge_APP_NOT_RESUMING(const struct sight *s, struct verdict *v)
{
	if (is_stopped(s)) {
		v->cost_ns = s->f->since_progress_ns;
		v->advice = "Let it go on: kill -CONT PID, or detach the debugger.";
		say(v, "the process is stopped (a signal or a debugger)");
		say_calls(s, v);
		say_socket(s, v);
		if (!open_gap_ready(s->f))
			doubt(v, CAUSE_PEER_SILENT);
		return true;
	}
	if (!was_late(s) || loop_goes_on(s))
		return false;
	v->cost_ns = ready_ns(s);
	v->confidence = CONFIDENCE_HIGH;
	say_ready(s, v);
	if (s->f->live.ticks && s->f->wait_syscall && *s->f->wait_syscall)
		say(v, "the thread is in %s", s->f->wait_syscall);
	else
		doubt(v, CAUSE_WRONG_INTEREST);
	return true;
}

bool judge_BUSY_SPIN(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;

	if (!has_spun(s) || !is_io_want(h->longest_run_error))
		return false;
	v->cost_ns = s->f->run_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "%u calls in a row ended with %s and nothing moved, %s in all, one every %s",
	    h->longest_run, error_word(h->longest_run_error).s, span(s->f->run_ns).s,
	    span(s->f->run_ns / h->longest_run).s);
	say(v, "%s of CPU went into OpenSSL alone", span(s->time.cpu_ns).s);
	return true;
}

bool judge_BIO_NOT_PUMPED(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;

	if (!is_not_pumped(s))
		return false;
	v->cost_ns = s->f->since_progress_ns;
	v->confidence = CONFIDENCE_HIGH;
	if (h->last_error == ERROR_WANT_WRITE)
		say(v, "the BIO is full: %s wait to be taken out, and OpenSSL has more to write",
		    size(h->pending_out).s);
	else
		say(v, "%s of %s that OpenSSL wrote still lie in the BIO after %u calls",
		    size(h->pending_out).s, size(h->bytes_out).s, h->calls);
	say_calls(s, v);
	return true;
}

bool judge_LATE_START(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	const struct tlstall_socket *start = &h->at_start;
	uint64_t lain = start->ticks ? start->last_data_recv_ms * MS : 0;
	bool server = h->role == TLSTALL_ROLE_SERVER;
	bool waited = server && h->bytes_in && h->calls && lain >= SLOW_HANDSHAKE_NS &&
		      s->f->longest_call_ns < lain;
	bool late = s->f->before_start_ns >= 3 * SLOW_HANDSHAKE_NS / 2 && !s->f->finished_before;

	if (!waited && !late)
		return false;
	/* SYNs that were lost are not the program's fault */
	if (!waited && start->ticks && start->total_retrans)
		return false;
	v->cost_ns = waited ? lain : s->f->before_start_ns;
	/* time before the handshake does not explain why it ended badly */
	if (!s->ok && v->cost_ns > s->f->age_ns)
		v->cost_ns = s->f->age_ns;
	if (late)
		say(v, "%s passed between SSL_new and the first call",
		    span(s->f->before_start_ns).s);
	if (waited) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "the ClientHello had come %s before it was read", span(lain).s);
	}
	if (late && !waited) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_TCP_NOT_CONNECTED);
	}
	return true;
}

bool judge_ASYNC_PENDING(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	bool open = s->stuck && !s->in_op && is_async_want(h->last_error);
	bool was = is_async_want(h->longest_gap_want) && s->f->longest_gap_ns >= NOTABLE_NS;
	bool spun = has_spun(s) && is_async_want(h->longest_run_error);

	if (!open && !was && !spun)
		return false;
	v->confidence = CONFIDENCE_HIGH;
	v->cost_ns = open ? s->f->since_progress_ns : was ? s->f->longest_gap_ns : s->f->run_ns;
	if (spun)
		say(v, "asked again %u times in %s, and %s each time", h->longest_run,
		    span(s->f->run_ns).s, error_word(h->longest_run_error).s);
	else if (open)
		say(v, "%s since %s", error_word(h->last_error).s, span(s->f->idle_ns).s);
	else
		say(v, "%s, and the next call came %s later", error_word(h->longest_gap_want).s,
		    span(s->f->longest_gap_ns).s);
	say_calls(s, v);
	return true;
}
