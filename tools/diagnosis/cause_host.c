/* SPDX-License-Identifier: Apache-2.0 */
/* Time spent inside a call but not waiting for the peer: callbacks, locks, the CPU. */
#include <string.h>

#include "diagnosis/stack.h"
#include "judge.h"

static bool stuck_inside(const struct facts *f, enum tlstall_wait kind)
{
	return f->stuck && f->in_op && f->wait == kind;
}

static void doubt_others(const struct facts *f, struct verdict *v)
{
	doubt(v, CAUSE_LOCK_OR_ENTROPY);
	if (f->may_block) {
		doubt(v, CAUSE_RX_PARTIAL);
		doubt(v, CAUSE_PEER_SILENT);
	}
}

/* It waits for something other than the handshake: another descriptor, a file, or time. */
static bool waits_elsewhere(const struct facts *f)
{
	enum stack_says says = stack_says(f->stack_symbols);

	if (says == STACK_IN_BIO || says == STACK_IN_KEY || may_be_own_socket(f))
		return false;
	if (stuck_inside(f, TLSTALL_WAIT_OTHER_FD) || stuck_inside(f, TLSTALL_WAIT_SLEEP))
		return true;
	return stuck_inside(f, TLSTALL_WAIT_POLL) &&
	       (f->built_in || f->memory || says == STACK_IN_CALLBACK);
}

static void say_stack(const struct facts *f, struct verdict *v)
{
	if (f->stack_symbols && *f->stack_symbols)
		say(v, "stack: %.180s", f->stack_symbols);
}

/* The program's own lock: OpenSSL has called the code that waits for it. */
static bool judge_lock_of_callback(const struct facts *f, struct verdict *v)
{
	char name[STACK_NAME];

	if (!stuck_inside(f, TLSTALL_WAIT_FUTEX) ||
	    stack_lock(f->stack_symbols, name) != STACK_LOCK_CALLBACK)
		return false;
	v->cost_ns = f->in_op_ns;
	v->confidence = CONFIDENCE_HIGH;
	say_calls(f, v);
	say(v, "the thread waits for a lock in %s, which is not OpenSSL's, but was called by it",
	    name);
	say_stack(f, v);
	v->advice =
		"Find out which thread holds the lock (tlstall stack PID): take none in a callback "
		"that another thread keeps for long, such as an interpreter's.";
	return true;
}

static bool judge_callback_now(const struct facts *f, struct verdict *v)
{
	bool seen = waits_elsewhere(f);
	bool dark = f->stuck && f->in_op && !f->may_block &&
		    (f->wait == TLSTALL_WAIT_NOT_LOOKED || f->wait == TLSTALL_WAIT_UNKNOWN ||
		     f->wait == TLSTALL_WAIT_GONE);

	if (!seen && !dark)
		return false;
	v->cost_ns = f->in_op_ns;
	if (seen && (f->built_in || f->memory))
		v->confidence = CONFIDENCE_HIGH;
	say_calls(f, v);
	if (seen)
		say(v, "this is not the handshake's own socket");
	else
		say(v, "its BIO cannot block: the call does not wait for the peer");
	say_stack(f, v);
	if (dark)
		doubt_others(f, v);
	return true;
}

/*
 * Mode `watch` did not measure a long call, and counts a part of it as CPU time that is neither
 * most of it nor hardly any.
 */
static bool is_cpu_guessed(const struct facts *f)
{
	uint64_t cpu = f->time.cpu_ns, waited = f->time.wait_in_call_ns;

	return f->flags & TLSTALL_HS_CPU_UNKNOWN && cpu > waited / 7 && waited > cpu / 7;
}

/* It computed so much that it spent the rest waiting for a CPU: a callback that waits uses none. */
static bool is_starved_of_cpu(const struct facts *f)
{
	uint64_t cpu = f->time.cpu_ns;

	return !f->may_block && cpu >= STALL_NS && cpu >= f->time.wait_in_call_ns / 10 &&
	       !is_cpu_guessed(f);
}

/* How long calls were off the CPU without waiting for the peer; 0 if too short to report. */
static uint64_t off_cpu_ns(const struct facts *f)
{
	uint64_t waited = f->time.wait_in_call_ns, held = held_ns(f);

	if (f->stuck || has_spun(f) || is_starved_of_cpu(f))
		return 0;
	if (!f->may_block)
		return waited >= NOTABLE_NS ? waited : 0;
	if (!f->slow || held < NOTABLE_NS || waited < held / 2 || !can_be_callback(f))
		return 0;
	return held;
}

static void say_off_cpu(const struct facts *f, struct verdict *v)
{
	if (!f->may_block && is_cpu_guessed(f))
		say(v,
		    "calls took %s although their BIO cannot block; how much of that was computing "
		    "was not measured",
		    span(v->cost_ns).s);
	else if (!f->may_block)
		say(v,
		    "calls spent %s off the CPU although their BIO cannot block; the longest took "
		    "%s",
		    span(v->cost_ns).s, span(f->longest_call_ns).s);
	else
		say(v, "the call spent %s between two messages of one flight", span(v->cost_ns).s);
	if (f->may_block && data_was_there(f))
		say(v, "the peer's last byte had come %s before the end",
		    span(f->at_end.last_data_recv_ms * MS).s);
	if (f->state_wait && *f->state_wait)
		say(v, "this was after state \"%s\"", f->state_wait);
}

/* A look at the process during the handshake found it waiting for a lock. */
static bool was_locked(const struct facts *f)
{
	return f->then && f->then->in_op_ns &&
	       (f->then->wait == TLSTALL_WAIT_FUTEX || f->then->wait == TLSTALL_WAIT_RANDOM);
}

/* It did not wait for anything but a CPU. */
static bool was_runnable(const struct facts *f)
{
	return f->then && f->then->in_op && f->then->wait == TLSTALL_WAIT_RUNNING;
}

/* After these states OpenSSL only signs. */
static bool was_signing(const struct facts *f)
{
	const char *state = f->state_wait;

	return state &&
	       (strstr(state, "write certificate") || strstr(state, "write client certificate"));
}

static bool judge_callback_then(const struct facts *f, struct verdict *v)
{
	v->cost_ns = off_cpu_ns(f);
	if (!v->cost_ns || was_locked(f) || was_runnable(f) ||
	    (is_cpu_guessed(f) && was_signing(f)))
		return false;
	if ((f->may_block && !data_was_there(f)) || is_cpu_guessed(f))
		v->confidence = CONFIDENCE_LOW;
	if (is_cpu_guessed(f)) {
		v->cost_ns += f->time.cpu_ns;
		doubt(v, CAUSE_CPU_HEAVY);
	}
	say_off_cpu(f, v);
	doubt_others(f, v);
	v->advice = "Check what the certificate, verify and client hello callbacks do (OCSP, DNS, "
		    "a key server); while it hangs, tlstall stack PID shows it.";
	return true;
}

bool judge_CALLBACK_BLOCKED(const struct facts *f, struct verdict *v)
{
	return judge_lock_of_callback(f, v) || judge_callback_now(f, v) ||
	       judge_callback_then(f, v);
}

bool judge_KEY_OPERATION_SLOW(const struct facts *f, struct verdict *v)
{
	bool now = f->stuck && f->in_op && f->wait != TLSTALL_WAIT_STOPPED &&
		   stack_says(f->stack_symbols) == STACK_IN_KEY;
	bool then = was_signing(f) && !is_cpu_guessed(f);

	v->cost_ns = now ? f->in_op_ns : then ? off_cpu_ns(f) : 0;
	if (!v->cost_ns)
		return false;
	if (now) {
		v->confidence = CONFIDENCE_HIGH;
		say_calls(f, v);
		say(v, "the thread is in an operation with the private key, off the CPU");
		say_stack(f, v);
		return true;
	}
	say(v, "the call spent %s off the CPU where OpenSSL signs with the private key",
	    span(v->cost_ns).s);
	say(v, "this was after state \"%s\"", f->state_wait);
	doubt(v, CAUSE_LOCK_OR_ENTROPY);
	return true;
}

bool judge_LOCK_HELD_AT_FORK(const struct facts *f, struct verdict *v)
{
	/* only a thread of this process can release the lock, and there is no other */
	if (!stuck_inside(f, TLSTALL_WAIT_FUTEX) || !f->forked || !f->private_lock ||
	    f->threads != 1)
		return false;
	v->cost_ns = f->in_op_ns;
	v->confidence = CONFIDENCE_HIGH;
	say_calls(f, v);
	say(v, "the process is a child of fork() without exec, and this is its only thread");
	say(v,
	    "the lock was held by another thread of the parent at the fork: nobody can release it");
	say_stack(f, v);
	return true;
}

bool judge_LOCK_OR_ENTROPY(const struct facts *f, struct verdict *v)
{
	bool lock = stuck_inside(f, TLSTALL_WAIT_FUTEX),
	     random = stuck_inside(f, TLSTALL_WAIT_RANDOM);
	char name[STACK_NAME];
	enum stack_lock whose = stack_lock(f->stack_symbols, name);

	if ((!lock && !random) || (lock && whose == STACK_LOCK_CALLBACK))
		return false;
	v->cost_ns = f->in_op_ns;
	if (random || whose == STACK_LOCK_OPENSSL)
		v->confidence = CONFIDENCE_HIGH;
	say_calls(f, v);
	say(v, lock ? "the thread waits for a lock, not for the socket"
		    : "the thread waits for the kernel's random numbers");
	say_stack(f, v);
	if (lock && whose != STACK_LOCK_OPENSSL)
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	return true;
}

/* It could run, but got hardly any of a CPU. */
static bool waits_for_cpu(const struct facts *f)
{
	return f->burnt_over_ns && f->burnt_ran_ns < f->burnt_over_ns / 4;
}

static void say_no_cpu(const struct facts *f, struct verdict *v)
{
	say(v, "the thread could run, but was on a CPU for only %s of %s", span(f->burnt_ran_ns).s,
	    span(f->burnt_over_ns).s);
	v->advice = "Find out what keeps it from a CPU: the quota of its cgroup (cpu.stat: "
		    "nr_throttled), or too many threads (/proc/pressure/cpu).";
}

static void say_computed(const struct facts *f, bool starved, struct verdict *v)
{
	uint64_t cpu = f->time.cpu_ns, waited = f->time.wait_in_call_ns;

	if (is_cpu_guessed(f)) {
		v->cost_ns = cpu + waited;
		v->confidence = CONFIDENCE_LOW;
		say(v,
		    "calls took %s of %s; how much of that was computing was not measured (mode "
		    "watch)",
		    span(v->cost_ns).s, span(f->age_ns).s);
		doubt(v, was_signing(f) ? CAUSE_KEY_OPERATION_SLOW : CAUSE_CALLBACK_BLOCKED);
		return;
	}
	say(v, "%s of %s went into computing inside OpenSSL", span(cpu).s, span(f->age_ns).s);
	if (!starved)
		return;
	v->cost_ns += waited;
	v->confidence = CONFIDENCE_MEDIUM;
	say(v,
	    "%s more were spent inside calls that cannot block: other threads compete for the CPU",
	    span(waited).s);
	doubt(v, CAUSE_CALLBACK_BLOCKED);
}

bool judge_CPU_HEAVY(const struct facts *f, struct verdict *v)
{
	bool runs = stuck_inside(f, TLSTALL_WAIT_RUNNING);
	uint64_t cpu = f->time.cpu_ns;
	/* nobody knows yet how much of the call in flight is computing */
	bool starved = !runs && is_starved_of_cpu(f) && f->time.wait_in_call_ns >= NOTABLE_NS;
	bool ran = cpu >= STALL_NS && (cpu >= f->age_ns / 4 || starved) && !has_spun(f) &&
		   !(runs && is_cpu_guessed(f));

	if (!runs && !ran)
		return false;
	v->cost_ns = runs ? f->in_op_ns : cpu;
	v->confidence = runs ? CONFIDENCE_MEDIUM : CONFIDENCE_HIGH;
	if (runs)
		say_calls(f, v);
	if (runs && waits_for_cpu(f))
		say_no_cpu(f, v);
	if (ran)
		say_computed(f, starved, v);
	if (f->longest_call_ns)
		say(v, "the longest call took %s", span(f->longest_call_ns).s);
	say_signature(f, v);
	if (runs) {
		say_stack(f, v);
		/* we cannot tell whether OpenSSL runs or a callback */
		doubt(v, CAUSE_CALLBACK_BLOCKED);
	}
	return true;
}
