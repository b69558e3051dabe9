/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that break off: what SSL_get_error said was misread. */
#include <errno.h>
#include <netinet/tcp.h>

#include "judge.h"

/* OpenSSL's own: libpq's and the like have names that we know, but types of their own. */
#define BIO_TYPE_SOCKET 0x505

/* Freed so soon after a WANT that nothing else can have been tried. */
#define AT_ONCE_NS (100 * MS)

static bool gave_up(const struct sight *s)
{
	return s->h->outcome == TLSTALL_OUTCOME_ABANDONED;
}

/* Broke off, or stands still, after an op that asked to be called again. */
static bool broke_off(const struct sight *s)
{
	bool again = is_io_want(s->h->last_error) || is_async_want(s->h->last_error);

	return !s->in_op && again && (gave_up(s) || s->stuck) && s->h->calls;
}

/* A server that is stopped drops what is under way: no judgement of one handshake. */
static bool stopped_serving(const struct sight *s)
{
	return s->h->role == TLSTALL_ROLE_SERVER && s->f->exit_after_ns &&
	       s->f->exit_after_ns < AT_ONCE_NS;
}

/* The end of the process is no answer to a WANT: it may have come from outside. */
static bool broke_off_at_once(const struct sight *s)
{
	const uint32_t by_itself = TLSTALL_HS_FREED | TLSTALL_HS_SHUTDOWN;

	return broke_off(s) && gave_up(s) && s->h->flags & by_itself && !stopped_serving(s) &&
	       s->f->free_after_ns < AT_ONCE_NS &&
	       s->f->since_progress_ns < s->f->free_after_ns + AT_ONCE_NS;
}

static void say_break(const struct sight *s, struct verdict *v)
{
	if (gave_up(s) && s->h->flags & TLSTALL_HS_FREED)
		say(v, "the last call ended with %s; the SSL object was freed %s later",
		    error_word(s->h->last_error).s, span(s->f->free_after_ns).s);
	else
		say_calls(s, v);
}

bool judge_STALE_ERROR_QUEUE(const struct sight *s, struct verdict *v)
{
	bool filled =
		s->h->misuse & TLSTALL_MISUSE_QUEUE || s->h->flags & TLSTALL_HS_SHORT_GET_ERROR;

	/* an error of another operation, or of another thread's: see GET_ERROR_MISUSE */
	if (!filled || !broke_off(s) ||
	    s->h->misuse & (TLSTALL_MISUSE_THREAD | TLSTALL_MISUSE_OTHER))
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "SSL_get_error found an error that was put into the thread's queue after the call");
	if (s->h->flags & TLSTALL_HS_STALE_QUEUE)
		say(v, "a call had begun with error 0x%08x in the queue", s->h->stale_error);
	say(v, "the call itself had only asked to be repeated: %s", error_word(s->h->last_error).s);
	say_break(s, v);
	return true;
}

bool judge_GET_ERROR_MISUSE(const struct sight *s, struct verdict *v)
{
	uint32_t misuse =
		s->h->misuse & (TLSTALL_MISUSE_RET | TLSTALL_MISUSE_THREAD | TLSTALL_MISUSE_OTHER);
	bool never = !s->h->get_errors && broke_off_at_once(s);

	if ((!misuse && !never) || !broke_off(s))
		return false;
	v->cost_ns = s->f->age_ns;
	if (misuse & TLSTALL_MISUSE_RET)
		say(v, "SSL_get_error was given a value that is not the call's return (%d)",
		    s->h->last_ret);
	if (misuse & TLSTALL_MISUSE_THREAD)
		say(v, "SSL_get_error was called on another thread than the operation");
	if (misuse & TLSTALL_MISUSE_OTHER)
		say(v, "another SSL object was used between the operation and SSL_get_error");
	if (never)
		say(v, "SSL_get_error was never called, though %u operations asked to be repeated",
		    s->h->want_read + s->h->want_write + s->h->want_other);
	say_break(s, v);
	doubt(v, CAUSE_WANT_TREATED_AS_FATAL);
	return true;
}

bool is_want_mismatch(const struct sight *s)
{
	const struct tlstall_handshake *h = s->h;
	const uint32_t version_3 = 0x30000000;

	if (!s->failed || !(h->flags & TLSTALL_HS_WANT_MISMATCH) || h->last_error != ERROR_SYSCALL)
		return false;
	/* the end of the stream was there: no retry was forgotten */
	if (h->at_end.ticks && h->at_end.tcp_state == TCP_CLOSE_WAIT)
		return false;
	if (h->last_errno)
		return h->last_errno == EAGAIN;
	/* 1.1.1 says the same of a plain end of the stream, and so do BIOs of programs */
	return h->flags & TLSTALL_HS_OVERLAP || (s->f->libssl_version >= version_3 &&
						 (h->read.type == BIO_TYPE_SOCKET || s->memory));
}

bool judge_WANT_FLAG_MISMATCH(const struct sight *s, struct verdict *v)
{
	if (!is_want_mismatch(s))
		return false;
	v->cost_ns = s->f->age_ns;
	say(v, "SSL_ERROR_SYSCALL with errno %u and an empty queue, while SSL_want said \"again\"",
	    s->h->last_errno);
	if (s->h->flags & TLSTALL_HS_OVERLAP) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "two threads were inside operations on this object at once");
	}
	if (s->h->flags & TLSTALL_HS_FATAL_RESUMED)
		say(v, "it was called again after a fatal error");
	doubt(v, CAUSE_PEER_CLOSED);
	return true;
}

bool judge_BLOCKING_WANT(const struct sight *s, struct verdict *v)
{
	const struct tlstall_handshake *h = s->h;
	uint8_t blocking = h->last_error == ERROR_WANT_WRITE ? h->write.blocking : h->read.blocking;

	if (!s->built_in || blocking != 1 || !broke_off(s) || !is_io_want(h->last_error))
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "%s came back with %s on a blocking descriptor after %s: %s",
	    s->f->last_function && *s->f->last_function ? s->f->last_function : "the call",
	    error_word(h->last_error).s, span(s->f->longest_call_ns).s,
	    h->last_errno == EINTR ? "a signal interrupted it (EINTR)"
				   : "the socket's own timeout ran out");
	say_break(s, v);
	return true;
}

bool judge_WANT_TREATED_AS_FATAL(const struct sight *s, struct verdict *v)
{
	bool unsure = !s->built_in || !s->socket;

	if (!broke_off_at_once(s) || s->found)
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = unsure ? CONFIDENCE_LOW : CONFIDENCE_HIGH;
	if (unsure && s->built_in)
		v->confidence = CONFIDENCE_MEDIUM;
	say_break(s, v);
	say(v, "nothing had failed: %s %s", error_word(s->h->last_error).s,
	    s->h->last_error == ERROR_WANT_WRITE ? "asks to wait for writable and call again"
						 : "asks to wait for readable and call again");
	if (unsure)
		doubt(v, CAUSE_PEER_CLOSED);
	doubt(v, CAUSE_ABANDONED);
	return true;
}

/*
 * Killed inside an op, and nothing shows that the process lived for longer than
 * its last record: nobody knows for how long it hung. To say "given up at once"
 * would be wrong.
 */
static bool was_killed_inside(const struct sight *s)
{
	return s->h->enter && s->f->since_progress_ns < MS &&
	       s->h->outcome == TLSTALL_OUTCOME_IN_FLIGHT && !s->f->process_alive &&
	       !s->f->process_exited;
}

bool judge_ABANDONED(const struct sight *s, struct verdict *v)
{
	bool freed = s->h->flags & TLSTALL_HS_FREED, open = !s->ok && !s->failed;

	if (s->found || !open || (!gave_up(s) && s->f->process_alive) || was_killed_inside(s))
		return false;
	v->cost_ns = s->f->age_ns;
	if (freed)
		say(v, "the SSL object was freed after %s, with the handshake unfinished",
		    span(s->f->age_ns).s);
	else if (s->h->flags & TLSTALL_HS_CLEARED)
		say(v, "the SSL object was cleared or used anew after %s", span(s->f->age_ns).s);
	else
		say(v, "the process %s after %s, with the handshake unfinished",
		    s->f->process_exited ? "ended" : "was killed", span(s->f->age_ns).s);
	say_calls(s, v);
	say_socket(s, v);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/* Short of a stall, and not failed. */
static bool is_fine(const struct sight *s)
{
	if (s->ok)
		return s->f->age_ns < SLOW_HANDSHAKE_NS;
	return !s->failed && !s->stuck && s->h->outcome == TLSTALL_OUTCOME_IN_FLIGHT &&
	       !was_killed_inside(s);
}

bool judge_NONE(const struct sight *s, struct verdict *v)
{
	if (!is_fine(s))
		return false;
	v->confidence = CONFIDENCE_HIGH;
	if (s->ok)
		say(v, "done after %s with %u call%s", span(s->f->age_ns).s, s->h->calls,
		    s->h->calls == 1 ? "" : "s");
	else
		say(v, "going on for %s, moved %s ago", span(s->f->age_ns).s,
		    span(s->f->since_progress_ns).s);
	return true;
}

bool judge_UNKNOWN(const struct sight *s, struct verdict *v)
{
	if (s->found || is_fine(s))
		return false;
	v->cost_ns = s->f->age_ns;
	v->confidence = CONFIDENCE_LOW;
	if (was_killed_inside(s)) {
		say(v,
		    "the process was killed inside %s; for how long that had hung, the trace "
		    "does not tell",
		    s->f->in_call_function ? s->f->in_call_function : "a call");
		v->advice = "Look while it hangs: tlstall ps, or let tlstall run start it.";
		doubt(v, CAUSE_PEER_SILENT);
		say_socket(s, v);
		return true;
	}
	if (s->failed)
		say(v, "%s failed with %s after %s: %s",
		    s->f->last_function ? s->f->last_function : "the call",
		    error_word(s->h->last_error).s, span(s->f->age_ns).s,
		    s->f->reason && *s->f->reason ? s->f->reason : "no reason given");
	if (s->failed && s->f->failed_state && *s->f->failed_state)
		say(v, "in state \"%s\"", s->f->failed_state);
	if (s->failed) {
		v->advice =
			"Look up the reason in OpenSSL's errors and read the peer's log of that "
			"moment.";
	} else {
		say_split(s, v);
		say_calls(s, v);
	}
	say_alerts(s, v);
	say_socket(s, v);
	return true;
}
