/* SPDX-License-Identifier: Apache-2.0 */
/* Inside a call, and not for the peer: callbacks, locks, the CPU. */
#include <string.h>

#include "judge.h"

static bool stuck_inside(const struct sight *s, enum wait_kind kind)
{
	return s->stuck && s->in_op && s->f->wait == kind;
}

static bool stack_names(const struct sight *s, const char *word)
{
	return s->f->stack_symbols && strstr(s->f->stack_symbols, word);
}

static void doubt_others(const struct sight *s, struct verdict *v)
{
	doubt(v, CAUSE_LOCK_OR_ENTROPY);
	if (s->may_block) {
		doubt(v, CAUSE_RX_PARTIAL);
		doubt(v, CAUSE_PEER_SILENT);
	}
}

static bool judge_callback_now(const struct sight *s, struct verdict *v)
{
	bool seen = stuck_inside(s, WAIT_OTHER_FD) || stuck_inside(s, WAIT_SLEEP) ||
		    (stuck_inside(s, WAIT_POLL) && (s->built_in || s->memory));
	bool dark = s->stuck && s->in_op && !s->may_block &&
		    (s->f->wait == WAIT_NOT_LOOKED || s->f->wait == WAIT_UNKNOWN ||
		     s->f->wait == WAIT_GONE);

	if (!seen && !dark)
		return false;
	v->cost_ns = s->f->in_op_ns;
	v->confidence = seen ? CONFIDENCE_HIGH : CONFIDENCE_MEDIUM;
	say_calls(s, v);
	if (seen)
		say(v, "that is not the handshake's own socket");
	else
		say(v, "its BIO cannot block: the call does not wait for the peer");
	if (s->f->stack_symbols)
		say(v, "stack: %.150s", s->f->stack_symbols);
	if (dark)
		doubt_others(s, v);
	return true;
}

/* So much computing that the rest was waiting for the CPU: a callback's wait costs none. */
static bool is_starved_of_cpu(const struct sight *s)
{
	uint64_t cpu = s->time.cpu_ns;

	return !s->may_block && cpu >= STALL_NS && cpu >= s->time.wait_in_call_ns / 10;
}

/* Off the CPU inside calls, and not for the peer: for how long; 0: no word is due. */
static uint64_t off_cpu_ns(const struct sight *s)
{
	uint64_t waited = s->time.wait_in_call_ns, held = held_ns(s);

	if (s->stuck || has_spun(s) || is_starved_of_cpu(s))
		return 0;
	if (!s->may_block)
		return waited >= NOTABLE_NS ? waited : 0;
	if (!s->slow || held < NOTABLE_NS || waited < held / 2 || !can_be_callback(s))
		return 0;
	return held;
}

static void say_off_cpu(const struct sight *s, struct verdict *v)
{
	if (!s->may_block)
		say(v, "calls took %s off the CPU although their BIO cannot block, the longest %s",
		    span(v->cost_ns).s, span(s->f->longest_call_ns).s);
	else
		say(v, "the call stayed %s between two messages of one flight", span(v->cost_ns).s);
	if (s->may_block && data_was_there(s))
		say(v, "the peer's last byte had come %s before the end",
		    span(s->h->at_end.last_data_recv_ms * MS).s);
	if (s->f->state_wait && *s->f->state_wait)
		say(v, "it was after state \"%s\"", s->f->state_wait);
}

/* The look that was taken meanwhile found it there. */
static bool was_locked(const struct sight *s)
{
	return s->f->seen_wait == WAIT_FUTEX || s->f->seen_wait == WAIT_RANDOM;
}

static bool judge_callback_then(const struct sight *s, struct verdict *v)
{
	v->cost_ns = off_cpu_ns(s);
	if (!v->cost_ns || was_locked(s))
		return false;
	if (s->may_block && !data_was_there(s))
		v->confidence = CONFIDENCE_LOW;
	say_off_cpu(s, v);
	doubt_others(s, v);
	v->advice =
		"See what the certificate, verify and client hello callbacks do: OCSP, DNS, a key "
		"server; while it hangs tlstall stack PID shows it.";
	return true;
}

bool judge_CALLBACK_BLOCKED(const struct sight *s, struct verdict *v)
{
	return judge_callback_now(s, v) || judge_callback_then(s, v);
}

static bool judge_lock_then(const struct sight *s, struct verdict *v)
{
	v->cost_ns = off_cpu_ns(s);
	if (!v->cost_ns || !was_locked(s))
		return false;
	say_off_cpu(s, v);
	say(v, "looked at meanwhile, the thread waited for %s",
	    s->f->seen_wait == WAIT_FUTEX ? "a lock" : "the kernel's random numbers");
	doubt(v, CAUSE_CALLBACK_BLOCKED);
	return true;
}

bool judge_LOCK_OR_ENTROPY(const struct sight *s, struct verdict *v)
{
	bool lock = stuck_inside(s, WAIT_FUTEX), random = stuck_inside(s, WAIT_RANDOM);

	if (!lock && !random)
		return judge_lock_then(s, v);
	v->cost_ns = s->f->in_op_ns;
	v->confidence = CONFIDENCE_HIGH;
	say_calls(s, v);
	say(v, lock ? "the thread waits for a lock, not for the socket"
		    : "the thread waits for the kernel's random numbers");
	if (s->f->stack_symbols)
		say(v, "stack: %.150s", s->f->stack_symbols);
	if (lock && stack_names(s, "callback"))
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	return true;
}

bool judge_CPU_HEAVY(const struct sight *s, struct verdict *v)
{
	bool runs = stuck_inside(s, WAIT_RUNNING);
	uint64_t cpu = s->time.cpu_ns;
	bool starved = is_starved_of_cpu(s) && s->time.wait_in_call_ns >= NOTABLE_NS;
	bool ran = cpu >= STALL_NS && (cpu >= s->f->age_ns / 4 || starved) && !has_spun(s);

	if (!runs && !ran)
		return false;
	v->cost_ns = runs ? s->f->in_op_ns : cpu;
	v->confidence = runs ? CONFIDENCE_MEDIUM : CONFIDENCE_HIGH;
	if (runs)
		say_calls(s, v);
	if (ran)
		say(v, "%s of %s went into computing inside OpenSSL", span(cpu).s,
		    span(s->f->age_ns).s);
	if (s->f->longest_call_ns)
		say(v, "the longest call took %s", span(s->f->longest_call_ns).s);
	if (starved) {
		v->cost_ns += s->time.wait_in_call_ns;
		v->confidence = CONFIDENCE_MEDIUM;
		say(v, "%s more inside, in calls that cannot block: others want the CPU too",
		    span(s->time.wait_in_call_ns).s);
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	}
	if (runs && s->f->stack_symbols)
		say(v, "stack: %.150s", s->f->stack_symbols);
	return true;
}
