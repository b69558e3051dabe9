/* SPDX-License-Identifier: Apache-2.0 */
#include "view/subject.h"

#include <string.h>

#include "diagnosis/facts.h"

void subject_look(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out)
{
	memset(out, 0, sizeof(*out));
	out->trace = trace;
	out->h = *h;
	if (trace_process(trace, h->process, &out->process))
		memcpy(out->process.comm, trace_header(trace)->comm, sizeof(out->process.comm));
	facts_from_trace(trace, &out->h, &out->facts);
	if (live) {
		out->live = *live;
		kernel_add_facts(&out->live, &out->facts);
		out->h = out->facts.h;
		/* behind a BIO of the program's own the shim does not look */
		if (!out->h.peer.family)
			out->h.peer = live->peer;
	}
}

void subject_judge(struct subject *subject)
{
	subject->verdict_count = diagnose(&subject->facts, subject->verdicts, SUBJECT_VERDICTS);
	/* ended in good order: it had the choice to go on */
	if (subject->h.outcome == TLSTALL_OUTCOME_IN_FLIGHT && subject->facts.process_exited)
		subject->h.outcome = TLSTALL_OUTCOME_ABANDONED;
}

void subject_make(struct trace *trace, const struct tlstall_handshake *h,
		  const struct kernel_view *live, struct subject *out)
{
	subject_look(trace, h, live, out);
	subject_judge(out);
}

/* TLS 1.3: a refused client certificate shows in the first read after the handshake. */
static bool failed_afterwards(const struct tlstall_handshake *h)
{
	return (h->flags & TLSTALL_HS_FIRST_READ) && h->first_read_error == 1 /* SSL_ERROR_SSL */;
}

/* It went well, and still time was lost; or the first read after it hangs. */
static bool has_cause(const struct subject *subject)
{
	return subject->verdict_count && subject->verdicts[0].cause != CAUSE_NONE;
}

bool subject_is_bad(const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	bool slow = subject->facts.age_ns >= SLOW_HANDSHAKE_NS;

	switch (h->outcome) {
	case TLSTALL_OUTCOME_OK:
		return slow || failed_afterwards(h) || has_cause(subject);
	case TLSTALL_OUTCOME_IN_FLIGHT:
		/* what a live process is doing just now is no stall yet */
		return slow || !subject->facts.process_alive;
	default:
		return true;
	}
}
