/* SPDX-License-Identifier: Apache-2.0 */
#include "view/subject.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "tlstall/vocabulary.h"

/* `view` must outlive the facts. */
static void add_view(const struct kernel_view *view, struct facts *facts)
{
	if (tlstall_is_in_memory(&facts->read) && !(facts->flags & TLSTALL_HS_LOOKED)) {
		facts->only = view->socket;
	} else {
		facts->live = view->socket;
		facts->tcp = view->tcp;
	}
	facts->fitting = view->fitting;
	facts->guessed = view->guessed;
	facts->idle = view->idle;
	facts->unread = view->unread;
	facts->descriptor = view->descriptor;
	facts->wait = view->wait;
	facts->wait_syscall = view->syscall[0] ? view->syscall : NULL;
	facts->wait_fd = view->fd;
	facts->accept_waiting = view->accept_waiting;
	facts->private_lock = view->private_lock;
	facts->threads = view->threads;
	facts->burnt_ns = view->burnt.ns;
	facts->burnt_ran_ns = view->burnt.ran_ns;
	facts->burnt_system_ns = view->burnt.system_ns;
	facts->burnt_over_ns = view->burnt.over_ns;
	facts->stack_symbols = view->stack[0] ? view->stack : NULL;
}

/*
 * Nothing has moved since the look, so the times in it have grown: until the handshake's end, or if
 * a read hangs after it, until now.
 */
static void add_view_now(struct subject *out)
{
	uint64_t now = out->h.end && !out->h.enter ? out->h.end
						   : trace_horizon(out->trace, out->h.process);
	struct tlstall_socket *socket = &out->facts.live;
	uint32_t ms;

	add_view(&out->live, &out->facts);
	if (!socket->ticks || !out->live.at || now <= out->live.at)
		return;
	ms = (uint32_t)(trace_span_ns(out->trace, now - out->live.at) / 1000000);
	socket->last_data_sent_ms += ms;
	socket->last_data_recv_ms += ms;
	socket->last_ack_recv_ms += ms;
}

/* The handshake as it was at the look. */
static void add_then(struct subject *out)
{
	struct facts *then = &out->then;

	if (!out->live.at)
		return;
	facts_at(out->trace, &out->live.then, out->live.at, then);
	add_view(&out->live, then);
	out->facts.then = then;
}

void subject_look(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out)
{
	/* not the verdicts, which are most of it: subject_judge() writes those that count */
	memset(out, 0, offsetof(struct subject, verdicts));
	out->verdict_count = 0;
	out->trace = trace;
	out->h = *h;
	if (trace_process(trace, h->process, &out->process))
		memcpy(out->process.comm, trace_header(trace)->comm, sizeof(out->process.comm));
	out->pid_here = trace_pid_here(trace, h->process);
	facts_from_trace(trace, &out->h, &out->facts);
	if (live) {
		out->live = *live;
		if (!live->past)
			add_view_now(out);
		else
			add_then(out);
		if (live->past && !tlstall_is_in_memory(&out->h.read))
			out->facts.seen = live->socket;
		/* the shim does not look behind the program's own BIO */
		if (!out->h.peer.family)
			out->h.peer = live->peer;
		if (!out->h.local.family)
			out->h.local = live->local;
		out->facts.peer = out->h.peer;
		out->facts.local = out->h.local;
	}
}

void subject_judge(struct subject *subject)
{
	if (subject->facts.then) {
		subject->then.others = subject->facts.others;
		facts_settle(&subject->then);
	}
	facts_settle(&subject->facts);
	/* inside a call, the kernel knows more than the shim has recorded */
	subject->h.bytes_in = subject->facts.bytes_in;
	subject->h.bytes_out = subject->facts.bytes_out;
	subject->h.first_flight = subject->facts.first_flight;
	subject->verdict_count = diagnose(&subject->facts, subject->verdicts, SUBJECT_VERDICTS);
	/* the process exited, so it chose not to go on; a detached one may still go on */
	if (subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && subject->facts.process_exited &&
	    !trace_header(subject->trace)->detached)
		subject->h.outcome = TLSTALL_OUTCOME_ABANDONED;
}

void subject_make(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out)
{
	subject_look(trace, h, live, out);
	subject_judge(out);
}

const char *process_pid(pid_t here, uint32_t own, char buffer[SUBJECT_PID_SIZE])
{
	if (here && here != (pid_t)own)
		snprintf(buffer, SUBJECT_PID_SIZE, "%d(%u)", here, own);
	else
		snprintf(buffer, SUBJECT_PID_SIZE, "%u", own);
	return buffer;
}

const char *subject_pid(const struct subject *subject, char buffer[SUBJECT_PID_SIZE])
{
	return process_pid(subject->pid_here, subject->process.pid, buffer);
}

uint32_t subject_stack(const struct subject *subject)
{
	return subject->h.stack_fail ? subject->h.stack_fail : subject->h.stack_first;
}

/* It succeeded but lost time, or the first read after it hangs. */
static bool has_cause(const struct subject *subject)
{
	return subject->verdict_count && subject->verdicts[0].cause != CAUSE_NONE;
}

/* Its time was judged to be fine: however long it took, it is not a stall. */
static bool is_blameless(const struct subject *subject)
{
	return subject->verdict_count && subject->verdicts[0].cause == CAUSE_NONE;
}

bool subject_is_bad(const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	bool slow = subject->facts.begun_ns + subject->facts.age_ns >= SLOW_HANDSHAKE_NS;

	if (is_blameless(subject))
		return false;
	switch (h->outcome) {
	case TLSTALL_OUTCOME_OK:
		return slow || has_cause(subject);
	case TLSTALL_OUTCOME_IN_FLIGHT:
		/* a live process may still go on; after detaching, nobody looks again */
		return slow || !subject->facts.process_alive || subject->facts.detached;
	default:
		return true;
	}
}
