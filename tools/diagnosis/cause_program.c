/* SPDX-License-Identifier: Apache-2.0 */
/* Programs that give up or go on when they should not, because they misread SSL_get_error. */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>

#include "diagnosis/reasons.h"
#include "judge.h"

/* Freed this soon after a WANT, the program cannot have tried anything else. */
#define AT_ONCE_NS (100 * MS)

static bool gave_up(const struct facts *f)
{
	return f->outcome == TLSTALL_OUTCOME_ABANDONED;
}

/* A program that is inside a call, however short, has called again. */
static bool stands_still(const struct facts *f)
{
	return f->stuck && !f->entered && f->idle_ns >= STALL_NS;
}

/* The program gave up, or stands still, after an op that asked to be called again. */
static bool broke_off(const struct facts *f)
{
	bool again = is_io_want(f->last_error) || is_async_want(f->last_error);

	return !f->in_op && again && (gave_up(f) || stands_still(f)) && f->calls;
}

/* A server that is stopped drops all unfinished handshakes: no fault of this one. */
static bool stopped_serving(const struct facts *f)
{
	return f->role == TLSTALL_ROLE_SERVER && f->exit_after_ns && f->exit_after_ns < AT_ONCE_NS;
}

/* The object was freed or shut down. If the process merely ended, the cause may lie outside it. */
static bool broke_off_at_once(const struct facts *f)
{
	const uint32_t by_itself = TLSTALL_HS_FREED | TLSTALL_HS_SHUTDOWN;

	return broke_off(f) && gave_up(f) && f->flags & by_itself && !stopped_serving(f) &&
	       f->free_after_ns < AT_ONCE_NS &&
	       f->since_progress_ns < f->free_after_ns + AT_ONCE_NS;
}

static void say_break(const struct facts *f, struct verdict *v)
{
	if (gave_up(f) && f->flags & TLSTALL_HS_FREED)
		say(v, "the last call ended with %s; the SSL object was freed %s later",
		    word_error_short(f->last_error), span(f->free_after_ns).s);
	else
		say_calls(f, v);
}

/* It has called again, so it went on waiting, and the kernel shows that no answer came. */
static bool did_no_harm(const struct facts *f)
{
	return f->retries && awaits_peer(f) && is_acknowledged(f);
}

bool judge_STALE_ERROR_QUEUE(const struct facts *f, struct verdict *v)
{
	bool filled = f->misuse & TLSTALL_MISUSE_QUEUE || f->flags & TLSTALL_HS_SHORT_GET_ERROR;

	/* an error of another operation or thread is GET_ERROR_MISUSE */
	if (!filled || !broke_off(f) || did_no_harm(f) ||
	    f->misuse & (TLSTALL_MISUSE_THREAD | TLSTALL_MISUSE_OTHER))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "SSL_get_error found an error that entered the thread's queue after the call");
	if (f->flags & TLSTALL_HS_STALE_QUEUE)
		say(v, "a call began with error 0x%08x in the queue", f->stale_error);
	say(v, "the call itself only asked to be repeated: %s", word_error_short(f->last_error));
	say_break(f, v);
	return true;
}

bool judge_GET_ERROR_MISUSE(const struct facts *f, struct verdict *v)
{
	uint32_t misuse =
		f->misuse & (TLSTALL_MISUSE_RET | TLSTALL_MISUSE_THREAD | TLSTALL_MISUSE_OTHER);
	bool never = !f->get_errors && !f->get_errors_left_out && broke_off_at_once(f);

	if ((!misuse && !never) || !broke_off(f) || did_no_harm(f))
		return false;
	v->cost_ns = f->age_ns;
	if (misuse & TLSTALL_MISUSE_RET)
		say(v, "SSL_get_error was given a value that is not the call's return value (%d)",
		    f->last_ret);
	if (misuse & TLSTALL_MISUSE_THREAD)
		say(v, "SSL_get_error was called on a different thread than the operation");
	if (misuse & TLSTALL_MISUSE_OTHER)
		say(v, "another SSL object was used between the operation and SSL_get_error");
	if (never)
		say(v, "SSL_get_error was never called, though %s asked to be repeated",
		    counted(f->want_read + f->want_write + f->want_other, "operation").s);
	say_break(f, v);
	doubt(v, CAUSE_WANT_TREATED_AS_FATAL);
	return true;
}

bool is_want_mismatch(const struct facts *f)
{
	const uint32_t version_3 = 0x30000000;

	if (!f->failed || !(f->flags & TLSTALL_HS_WANT_MISMATCH) ||
	    f->last_error != TLSTALL_ERROR_SYSCALL)
		return false;
	/* the stream had ended: the program did not forget to retry */
	if (f->at_end.ticks && f->at_end.tcp_state == TCP_CLOSE_WAIT)
		return false;
	if (f->last_errno)
		return f->last_errno == EAGAIN;
	/*
	 * OpenSSL 1.1.1 reports a plain end of the stream in the same way, and so do the program's
	 * own BIOs
	 */
	return f->flags & TLSTALL_HS_OVERLAP ||
	       (f->libssl_version >= version_3 && (f->read.type == BIO_TYPE_SOCKET || f->memory));
}

bool judge_WANT_FLAG_MISMATCH(const struct facts *f, struct verdict *v)
{
	if (!is_want_mismatch(f))
		return false;
	v->cost_ns = f->age_ns;
	say(v, "SSL_ERROR_SYSCALL with errno %u and an empty queue, while SSL_want said \"again\"",
	    f->last_errno);
	if (f->flags & TLSTALL_HS_OVERLAP) {
		v->confidence = CONFIDENCE_HIGH;
		say(v, "two threads were inside operations on this object at once");
	}
	if (f->flags & TLSTALL_HS_FATAL_RESUMED)
		say(v, "it was called again after a fatal error");
	doubt(v, CAUSE_PEER_CLOSED);
	return true;
}

/* A program that gave up may close the connection long before it frees the object. */
static void judge_closed(const struct facts *f, struct verdict *v)
{
	say(v, "descriptor %d, of the connection, %s by now", f->read.fd,
	    f->descriptor == TLSTALL_DESCRIPTOR_CLOSED ? "is closed"
						       : "is another file or connection");
	say_calls(f, v);
	if (f->in_op)
		v->advice = "Find out who closed it (strace -e trace=close,dup2). close() does not "
			    "end a call that waits: to give up, another thread has to use "
			    "shutdown().";
	else
		doubt(v, CAUSE_ABANDONED);
	doubt(v, CAUSE_PEER_SILENT);
}

static bool judge_swapped(const struct facts *f, struct verdict *v)
{
	uint64_t acked = f->live.bytes_acked ? f->live.bytes_acked - 1 : 0;
	bool apart = f->write.fd != f->read.fd;

	v->cost_ns = f->since_progress_ns;
	if (f->descriptor) {
		judge_closed(f, v);
		return true;
	}
	if (f->bytes_out)
		say(v,
		    "OpenSSL wrote %s, but the connection on descriptor %d has carried only %s%s",
		    size(f->bytes_out).s, f->read.fd, size(acked + f->live.outq).s,
		    apart ? "" : ": it is another one by now");
	else
		say(v,
		    "OpenSSL wrote the ClientHello, but the connection on descriptor %d has "
		    "carried nothing since",
		    f->read.fd);
	if (apart)
		say(v, "OpenSSL reads from descriptor %d and writes to descriptor %d", f->read.fd,
		    f->write.fd);
	say_calls(f, v);
	return true;
}

bool judge_BAD_DESCRIPTOR(const struct facts *f, struct verdict *v)
{
	if (f->swapped)
		return judge_swapped(f, v);
	if (!f->failed || f->last_error != TLSTALL_ERROR_SYSCALL ||
	    (f->last_errno != EBADF && f->last_errno != ENOTSOCK))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "the call ended with errno %u (%s) after %s", f->last_errno, strerror(f->last_errno),
	    span(f->age_ns).s);
	if (f->read.fd >= 0)
		say(v, "its descriptor is %d; %s had been read and %s written", f->read.fd,
		    size(f->bytes_in).s, size(f->bytes_out).s);
	return true;
}

bool judge_BLOCKING_WANT(const struct facts *f, struct verdict *v)
{
	uint8_t blocking =
		f->last_error == TLSTALL_ERROR_WANT_WRITE ? f->write.blocking : f->read.blocking;
	bool several = f->calls > 1; /* how long the last one took is not recorded */

	/*
	 * mode `watch` asks right after a call only if that took long. This call did not wait, so
	 * the socket may have become blocking only later
	 */
	bool since = f->flags & TLSTALL_HS_WATCHED && f->longest_call_ns < 20 * MS;

	/* over UDP, the timeout is that of the DTLS timer */
	if (!f->built_in || blocking != 1 || since || is_datagram(f) || !broke_off(f) ||
	    !is_io_want(f->last_error))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "%s returned with %s on a blocking descriptor%s%s: %s",
	    f->last_function && *f->last_function ? f->last_function : "the call",
	    word_error_short(f->last_error), several ? "" : " after ",
	    several ? "" : span(f->longest_call_ns).s,
	    f->last_errno == EINTR ? "a signal interrupted it (EINTR)"
				   : "the socket's own timeout ran out");
	if (several)
		say(v, "the longest of %u calls took %s", f->calls, span(f->longest_call_ns).s);
	say_break(f, v);
	return true;
}

/* Before this long it has not waited; later, a short deadline or a cancellation is likelier. */
#define NO_WAIT_NS (10 * MS)

bool judge_WANT_TREATED_AS_FATAL(const struct facts *f, struct verdict *v)
{
	bool unsure = !f->built_in || !socket_now(f);
	/* one that has called again knows that WANT is no failure */
	bool hasty = f->free_after_ns < NO_WAIT_NS && !f->retries;

	if (!broke_off_at_once(f) || (!hasty && f->others.thread_other_ops))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = unsure || !hasty ? CONFIDENCE_LOW : CONFIDENCE_HIGH;
	if (unsure && hasty && f->built_in)
		v->confidence = CONFIDENCE_MEDIUM;
	say_break(f, v);
	say(v, "nothing had failed: %s %s", word_error_short(f->last_error),
	    f->last_error == TLSTALL_ERROR_WANT_WRITE ? "asks to wait for writable and call again"
						      : "asks to wait for readable and call again");
	if (unsure)
		doubt(v, CAUSE_PEER_CLOSED);
	doubt(v, CAUSE_ABANDONED);
	return true;
}

/*
 * The process was killed, perhaps right after its last record: nobody knows how long the handshake
 * hung, so "given up at once" would be wrong.
 */
static bool was_killed(const struct facts *f)
{
	return f->outcome == TLSTALL_OUTCOME_IN_FLIGHT && !f->process_alive && !f->process_exited &&
	       !f->stuck && !f->left;
}

/* A stateless server (SSL_stateless, DTLSv1_listen) ends a handshake with each call. */
static bool is_listening(const struct facts *f)
{
	return f->flags & TLSTALL_HS_LISTEN && f->outcome == TLSTALL_OUTCOME_ABANDONED && !f->stuck;
}

/* A program that calls this often after a failure takes the failure for "not yet". */
#define FATAL_CALLS 10

bool judge_FATAL_IGNORED(const struct facts *f, struct verdict *v)
{
	if (f->fatal_calls < FATAL_CALLS)
		return false;
	/* the handshake had already failed: these calls cost only their own time */
	v->cost_ns = f->fatal_ns < f->age_ns ? f->fatal_ns : f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "after the failure, it was called %u more times within %s", f->fatal_calls,
	    span(f->fatal_ns).s);
	if (f->fatal_ns >= MS)
		say(v, "a call every %s; the thread used %s of CPU meanwhile",
		    span(f->fatal_ns / f->fatal_calls).s, span(f->fatal_cpu_ns).s);
	return true;
}

static bool judge_stolen(const struct facts *f, struct verdict *v)
{
	const struct tlstall_socket *n = socket_now(f);

	v->cost_ns = f->age_ns;
	say(v,
	    "OpenSSL has read %s of the %s that came, and %s are unread: something else read the "
	    "rest",
	    size(f->bytes_in).s, size(n->bytes_received - f->at_start.bytes_received).s,
	    size(n->inq).s);
	say_calls(f, v);
	v->advice =
		"Find out who else reads from this connection: ss -tnp shows the processes that "
		"have it (a child of fork()?); or it is another thread.";
	return true;
}

bool judge_TWO_ON_ONE_SOCKET(const struct facts *f, struct verdict *v)
{
	bool known = f->others.same_socket;

	if (is_read_elsewhere(f))
		return judge_stolen(f, v);
	if ((!known && !f->others.same_descriptor) || (!f->failed && !f->stuck))
		return false;
	v->cost_ns = f->age_ns;
	if (!known)
		v->confidence = CONFIDENCE_LOW;
	say(v, "another SSL object%s had finished its handshake on descriptor %d",
	    known ? ", still in use," : "", f->read.fd);
	if (!known)
		say(v, "this connection had carried its bytes before; whether it is still in use "
		       "was not recorded");
	say(v, "each reads bytes that are meant for the other");
	if (f->reason && *f->reason)
		say(v, "OpenSSL's reason: \"%s\"", f->reason);
	return true;
}

bool judge_ABANDONED(const struct facts *f, struct verdict *v)
{
	bool freed = f->flags & TLSTALL_HS_FREED, shut = is_shut_here(f);
	bool open = (!f->ok && !f->failed) || shut;

	if (!open || (!shut && !gave_up(f) && f->process_alive && !f->left) || was_killed(f) ||
	    is_listening(f))
		return false;
	v->cost_ns = f->age_ns;
	if (shut)
		say(v,
		    "the connection was shut down on this side after %s, elsewhere in the program; "
		    "the peer has %s",
		    span(f->age_ns).s, sent_both_ends(f) ? "closed it, too" : "not closed it");
	else if (freed)
		say(v, "the SSL object was freed after %s, with the handshake unfinished",
		    span(f->age_ns).s);
	else if (f->flags & TLSTALL_HS_CLEARED)
		say(v, "the SSL object was cleared or reused after %s", span(f->age_ns).s);
	else if (!f->process_alive && !f->left)
		say(v, "the process %s after %s, with the handshake unfinished",
		    f->process_exited ? "ended" : "was killed", span(f->age_ns).s);
	say_calls(f, v);
	say_socket(f, v);
	doubt(v, CAUSE_PEER_SILENT);
	/* nobody knows whether the peer had hung up, or who was first */
	if (shut && sent_both_ends(f))
		doubt(v, CAUSE_PEER_CLOSED);
	if (!shut && !f->built_in && !socket_now(f)) {
		v->confidence = CONFIDENCE_LOW;
		doubt(v, CAUSE_PEER_CLOSED);
	}
	return true;
}

/* Neither failed nor a stall. */
static bool is_fine(const struct facts *f)
{
	if (f->ok)
		return f->age_ns < SLOW_HANDSHAKE_NS && !has_failed_later(f);
	if (is_listening(f))
		return true;
	return !f->failed && !f->stuck && f->outcome == TLSTALL_OUTCOME_IN_FLIGHT &&
	       !was_killed(f) && !f->left;
}

bool judge_NONE(const struct facts *f, struct verdict *v)
{
	if (!is_fine(f))
		return false;
	v->confidence = CONFIDENCE_HIGH;
	if (f->ok)
		say(v, "done after %s with %u call%s", span(f->age_ns).s, f->calls,
		    word_s(f->calls));
	else if (is_listening(f))
		say(v, "a stateless step of a handshake: the client was asked to prove "
		       "its address");
	else if (f->looked && !f->since_progress_ns)
		say(v, "it is making progress: bytes were sent or received between two looks");
	else if (f->looked)
		say(v, "the last progress was %s ago", span(f->since_progress_ns).s);
	else
		say(v, "in progress for %s, last progress %s ago", span(f->age_ns).s,
		    span(f->since_progress_ns).s);
	return true;
}

static bool is_garbled(const struct facts *f)
{
	return f->reason && strstr(f->reason, "bad record mac");
}

static const char *failure_advice(const struct facts *f)
{
	struct refusal r = refusal_of(f);

	if (is_aborted_here(f))
		return "Find out who ends connections on this host: ss -K, a program that uses "
		       "SOCK_DESTROY.";
	if (is_garbled(f))
		return "Find out what mixes up the bytes: two threads or processes that use this "
		       "connection, or a device on the path (compare tcpdump on both ends).";
	if (r.by_peer)
		return "Read the peer's log at that time: only the peer, or a device in front of "
		       "it, knows why it sent this alert.";
	return "Look up the reason in OpenSSL's errors and read the peer's log at that time.";
}

bool judge_UNKNOWN(const struct facts *f, struct verdict *v)
{
	if (is_fine(f))
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_LOW;
	if (was_killed(f)) {
		say(v, "the process was killed %s; the trace does not show how long it had hung",
		    f->entered ? "inside a call" : "between two calls");
		say_calls(f, v);
		v->advice = "Look while it hangs (tlstall ps), or start it with tlstall run.";
		doubt(v, CAUSE_PEER_SILENT);
		say_socket(f, v);
		return true;
	}
	if (f->failed)
		say(v, "%s failed with %s after %s: %s",
		    f->last_function ? f->last_function : "the call",
		    word_error_short(f->last_error), span(f->age_ns).s,
		    f->reason && *f->reason ? f->reason : "no reason given");
	if (f->failed && f->last_error == TLSTALL_ERROR_SYSCALL && f->last_errno)
		say(v, "errno %u (%s)", f->last_errno, strerror(f->last_errno));
	if (is_aborted_here(f)) {
		v->fault = FAULT_HOST;
		v->confidence = CONFIDENCE_MEDIUM;
		say(v, "this host ended the connection, neither the program nor the peer");
	}
	if (has_failed_later(f))
		say(v, "the first read after the handshake failed: %s",
		    f->reason && *f->reason ? f->reason : "no reason given");
	if (f->failed || has_failed_later(f)) {
		v->advice = failure_advice(f);
	} else {
		say_split(f, v);
		say_calls(f, v);
	}
	say_alerts(f, v);
	say_socket(f, v);
	return true;
}
