/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS: a lost datagram stays lost until a timer resends it, and no error reports the loss. */
#include <errno.h>
#include <string.h>

#include "judge.h"
#include "diagnosis/reasons.h"

/* OpenSSL's first timeout; each timeout doubles the next one. */
#define TIMER_NS (1 * S)
#define GRACE_NS (200 * MS)
#define MAX_DOUBLED 6

/*
 * Flights sent again. Until a client has read something, the bytes that it sent tell; after that,
 * the timer's calls.
 */
static uint32_t sent_again(const struct facts *f)
{
	uint64_t hellos = f->first_flight && !f->bytes_in ? f->bytes_out / f->first_flight : 0;

	return hellos > f->timer_calls + 1ull ? (uint32_t)hellos - 1 : f->timer_calls;
}

/* It doubles each time: the flights sent and the longest wait tell how often it has. */
static uint64_t timer_due_ns(const struct facts *f)
{
	uint32_t again = sent_again(f) < MAX_DOUBLED ? sent_again(f) : MAX_DOUBLED;
	uint64_t due = TIMER_NS << again, waited = f->longest_gap_ns * 2;

	return (waited > due ? waited : due) + GRACE_NS;
}

/*
 * The program has made no call for longer than the timeout, so nobody has run the timer. From
 * outside, nobody knows how often it has doubled.
 */
static bool is_timer_dead(const struct facts *f)
{
	uint64_t due = timer_due_ns(f);
	bool recent = f->timer_since_ns && f->timer_since_ns < due;

	return f->stuck && !f->in_op && !f->looked && f->last_error == TLSTALL_ERROR_WANT_READ &&
	       f->idle_ns >= due && !recent;
}

static void say_datagrams(const struct facts *f, struct verdict *v)
{
	if (sent_again(f))
		say(v, "the DTLS timer retransmitted %s", counted(sent_again(f), "time").s);
	else
		say(v, "it cannot be known whether a datagram arrived");
	/* the byte counts are updated only when a call returns */
	if (!f->in_op)
		say(v, "%s sent, %s read", size(f->bytes_out).s, size(f->bytes_in).s);
}

bool judge_DTLS_TIMER_NOT_DRIVEN(const struct facts *f, struct verdict *v)
{
	if (!is_datagram(f) || !is_timer_dead(f))
		return false;
	v->cost_ns = f->idle_ns - timer_due_ns(f) + GRACE_NS;
	if (!f->timer_known)
		v->confidence = CONFIDENCE_LOW;
	say(v,
	    "nothing came for %s, and the program made no call for %s, although the DTLS timer was "
	    "due",
	    span(f->since_progress_ns).s, span(f->idle_ns).s);
	say_datagrams(f, v);
	say_calls(f, v);
	doubt(v, CAUSE_DTLS_LOST);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/*
 * It waited as long as the first timeout, then went on: its flight or the answer was lost. Any call
 * into OpenSSL that runs the timer when it is due can have resent it; we do not see that.
 */
static bool has_recovered(const struct facts *f)
{
	uint64_t waited = awaited_peer_ns(f);

	return f->ok && f->slow && waited + GRACE_NS >= TIMER_NS;
}

static bool gave_up(const struct facts *f)
{
	return refusal_of(f).meaning.cause == CAUSE_DTLS_LOST;
}

/* A part of the peer's flight came. The rest was probably lost: peers seldom stop in the middle. */
static bool is_broken_off(const struct facts *f)
{
	return f->stuck && f->mid_flight && !is_timer_dead(f);
}

static void say_loss(const struct facts *f, struct verdict *v)
{
	if (gave_up(f))
		say(v, "OpenSSL gave up retransmitting after %s: \"%s\"", span(f->age_ns).s,
		    f->reason);
	else if (f->ok)
		say(v,
		    "one wait took %s (the DTLS timer is due after 1 s), then the handshake went "
		    "on",
		    span(awaited_peer_ns(f)).s);
	else
		say(v, "part of the peer's flight came, but nothing more for %s",
		    span(f->since_progress_ns).s);
}

static bool judge_unreachable(const struct facts *f, struct verdict *v)
{
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	v->advice = unreachable_advice;
	say(v,
	    "the call ended with errno %u (%s) after %s: an ICMP message, or a route of this host",
	    f->last_errno, strerror(f->last_errno), span(f->age_ns).s);
	say(v, "%s sent, %s read", size(f->bytes_out).s, size(f->bytes_in).s);
	return true;
}

bool judge_DTLS_LOST(const struct facts *f, struct verdict *v)
{
	if (is_datagram(f) && is_unreachable(f))
		return judge_unreachable(f, v);
	if (!is_datagram(f) || (!has_recovered(f) && !gave_up(f) && !is_broken_off(f)))
		return false;
	v->cost_ns = f->age_ns;
	if (!sent_again(f))
		v->confidence = CONFIDENCE_LOW;
	say_loss(f, v);
	say_datagrams(f, v);
	if (f->stuck)
		say_calls(f, v);
	say_neighbors(f, v);
	doubt(v, CAUSE_PEER_SILENT);
	return true;
}

/* A silent peer may have received nothing, and some peers silently drop what they cannot read. */
void say_no_answer_in_datagrams(const struct facts *f, struct verdict *v)
{
	v->confidence = CONFIDENCE_LOW;
	say_datagrams(f, v);
	doubt(v, CAUSE_DTLS_LOST);
	if (f->looked && !f->in_op)
		doubt(v, CAUSE_DTLS_TIMER_NOT_DRIVEN);
	v->advice = "tcpdump 'udp port PORT' on the peer's side: do the datagrams arrive? If so, "
		    "read its log: a DTLS server silently drops what it cannot read (another key "
		    "or identity, an unknown connection id, a missing cookie).";
}

/* An ICMP message was received, and the kernel reports it as an error of the socket. */
bool judge_DTLS_REFUSED(const struct facts *f, struct verdict *v)
{
	if (!is_datagram(f) || !f->failed || f->last_error != TLSTALL_ERROR_SYSCALL ||
	    f->last_errno != ECONNREFUSED)
		return false;
	v->cost_ns = f->age_ns;
	v->confidence = CONFIDENCE_HIGH;
	say(v, "the call ended with errno %u (%s) after %s: an ICMP message, port unreachable",
	    f->last_errno, strerror(f->last_errno), span(f->age_ns).s);
	say(v, "%s sent, %s read", size(f->bytes_out).s, size(f->bytes_in).s);
	return true;
}
