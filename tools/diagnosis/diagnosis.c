/* SPDX-License-Identifier: Apache-2.0 */
/* Asks the judge of each cause, and ranks the verdicts. */
#include "diagnosis/diagnosis.h"

#include <string.h>

#include "judge.h"

static bool (*const judges[CAUSE_COUNT])(const struct facts *f, struct verdict *v) = {
#define CAUSE(name, fault, title, advice) judge_##name,
#include "diagnosis/causes.def"
#undef CAUSE
};

/*
 * Causes that say what the peer or the network did, or when bytes were there: only the socket can
 * prove these.
 */
static bool is_about_bytes(enum cause cause)
{
	switch (cause) {
	case CAUSE_PEER_CLOSED:
	case CAUSE_PEER_SILENT:
	case CAUSE_RX_PARTIAL:
	case CAUSE_TX_NOT_ACKED:
	case CAUSE_NARROW_PATH:
	case CAUSE_RX_LOST:
	case CAUSE_PEER_WINDOW_SHUT:
	case CAUSE_APP_NOT_RESUMING:
	case CAUSE_WRONG_INTEREST:
	case CAUSE_ACCEPT_LOOP_BLOCKED:
	case CAUSE_WANT_TREATED_AS_FATAL:
		return true;
	default:
		return false;
	}
}

/* Either OpenSSL moves the bytes, or the program does and we found its socket. */
static bool is_socket_known(const struct facts *f)
{
	return !f->guessed && (f->built_in || f->live.ticks || f->seen.ticks);
}

static bool judge(enum cause cause, const struct facts *f, struct verdict *v)
{
	const struct cause_row *row = cause_row(cause);

	/* clears only the head: clearing the texts, too, would take longer than judging */
	v->cause = cause;
	v->fault = row->fault;
	v->confidence = CONFIDENCE_MEDIUM;
	v->cost_ns = 0;
	v->evidence_count = 0;
	v->not_told_from_count = 0;
	v->advice = row->advice;
	if (!judges[cause](f, v))
		return false;
	if (v->confidence == CONFIDENCE_HIGH && is_about_bytes((enum cause)v->cause) &&
	    !is_socket_known(f))
		v->confidence = CONFIDENCE_MEDIUM;
	if (f->begun_ns)
		say(v,
		    "it began before tlstall attached, at least %s before its first recorded call",
		    span(f->begun_ns).s);
	/* each verdict has figures, however little we know */
	if (!v->evidence_count)
		say_split(f, v);
	return true;
}

/*
 * How it ended, or that we do not know more. The first that fits is used if no other cause applies.
 */
static const enum cause last_resorts[] = {CAUSE_ABANDONED, CAUSE_UNKNOWN, CAUSE_NONE};
#define LAST_RESORTS (sizeof(last_resorts) / sizeof(last_resorts[0]))

static bool is_last_resort(enum cause cause)
{
	for (unsigned i = 0; i < LAST_RESORTS; i++) {
		if (last_resorts[i] == cause)
			return true;
	}
	return false;
}

static unsigned judge_all(const struct facts *f, struct verdict *found)
{
	unsigned count = 0;

	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		if (!is_last_resort((enum cause)cause) &&
		    judge((enum cause)cause, f, &found[count]))
			count++;
	}
	return count;
}

static unsigned judge_last(const struct facts *f, struct verdict *found)
{
	for (unsigned i = 0; i < LAST_RESORTS; i++) {
		if (judge(last_resorts[i], f, found))
			return 1;
	}
	return 0;
}

static struct verdict *find(struct verdict *found, unsigned count, enum cause cause)
{
	for (unsigned i = 0; i < count; i++) {
		if (found[i].cause == cause)
			return &found[i];
	}
	return NULL;
}

/* How long the situation that the look found went on afterwards. */
static uint64_t lasted_ns(const struct facts *now, uint64_t seen_ns)
{
	uint64_t ns = now->longest_gap_ns > now->longest_call_ns ? now->longest_gap_ns
								 : now->longest_call_ns;

	return seen_ns > ns ? seen_ns : ns;
}

/* What was suspected at the look, and what has happened since shows that it was not so. */
static bool is_disproved(const struct facts *f, enum cause cause)
{
	switch (cause) {
	/* no answer would ever come */
	case CAUSE_CLIENT_HELLO_DROPPED:
	case CAUSE_WRONG_ROLE:
		return f->bytes_in;
	/* others were kept waiting */
	case CAUSE_ACCEPT_LOOP_BLOCKED:
		return f->others.pool;
	/* it was found running at a moment, and used hardly any CPU time in all */
	case CAUSE_CPU_HEAVY:
		return f->then->burnt_over_ns < STALL_NS && f->calls > f->then->calls &&
		       !(f->flags & TLSTALL_HS_CPU_UNKNOWN) && f->time.cpu_ns < STALL_NS;
	/* the program would not go on */
	case CAUSE_STALE_ERROR_QUEUE:
	case CAUSE_GET_ERROR_MISUSE:
	case CAUSE_BLOCKING_WANT:
		return f->calls > f->then->calls;
	/* the handshake could not succeed */
	case CAUSE_BAD_DESCRIPTOR:
	case CAUSE_TWO_ON_ONE_SOCKET:
	case CAUSE_RENEGOTIATION_STALL:
	case CAUSE_LOCK_HELD_AT_FORK:
		return f->ok;
	default:
		return false;
	}
}

/*
 * The verdict of a look that is kept: one that the end does not show, or one that was surer while
 * the handshake hung. If the handshake ended well, its end tells more about the same cause.
 */
static bool is_kept(const struct facts *f, const struct verdict *seen, const struct verdict *same)
{
	if (is_disproved(f, seen->cause))
		return false;
	return !same || (!f->ok && seen->confidence > same->confidence);
}

/*
 * A verdict of a look during the handshake still holds after its end, when the socket's queues, the
 * system call and the stack are gone.
 */
static unsigned add_seen(const struct facts *f, struct verdict *found, unsigned count)
{
	const struct facts *then = f->then;
	struct verdict *v, *same;

	if (!then || (f->ok && !f->slow))
		return count;
	for (unsigned cause = 0; cause < CAUSE_COUNT && count < CAUSE_COUNT; cause++) {
		v = &found[count];
		same = find(found, count, (enum cause)cause);
		if (is_last_resort((enum cause)cause) || !judge((enum cause)cause, then, v) ||
		    !is_kept(f, v, same))
			continue;
		v->cost_ns = lasted_ns(f, v->cost_ns);
		if (v->cost_ns > f->age_ns)
			v->cost_ns = f->age_ns;
		say(v, "this was seen %s after the start, while it hung", span(then->age_ns).s);
		if (is_shut_here(f))
			say(v, "it ended because this side shut the connection down");
		if (same)
			*same = *v;
		else
			count++;
	}
	return count;
}

/* The verdicts say where the time went, but not why it failed: then UNKNOWN comes first. */
static bool is_unexplained(const struct facts *f, const struct verdict *found, unsigned count)
{
	if (!f->failed || is_shut_here(f) || !count || count >= CAUSE_COUNT)
		return false;
	if (is_aborted_here(f))
		return true;
	for (unsigned i = 0; i < count; i++) {
		if (found[i].cost_ns >= f->age_ns)
			return false;
	}
	return true;
}

unsigned diagnose(const struct facts *facts, struct verdict *verdicts, unsigned room)
{
	struct verdict found[CAUSE_COUNT], *ranked[CAUSE_COUNT];
	unsigned count = add_seen(facts, found, judge_all(facts, found)), first = 0;

	if (!count)
		count = judge_last(facts, found);
	else if (is_unexplained(facts, found, count))
		first = judge_last(facts, &found[count]);
	if (first)
		ranked[0] = &found[count];
	for (unsigned i = 0; i < count; i++)
		ranked[first + i] = &found[i];
	count = first + rank(ranked + first, count);
	if (count > room)
		count = room;
	for (unsigned i = 0; i < count; i++)
		verdicts[i] = *ranked[i];
	return count;
}
