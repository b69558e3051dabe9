/* SPDX-License-Identifier: Apache-2.0 */
#include "live/detail.h"

#include <errno.h>
#include <string.h>

#include "live/stack.h"
#include "text/print.h"
#include "trace/host.h"
#include "view/line.h"
#include "view/paragraph.h"
#include "words/words.h"

#define BAR 20 /* columns of the longest bar */

/* ---- states ---------------------------------------------------------------------- */

struct step {
	const char *name;
	uint64_t at_ns, until_ns;
};

static void bar(FILE *out, const struct step *step, uint64_t total_ns)
{
	unsigned from = 0, to = BAR;

	if (total_ns) {
		from = (unsigned)(step->at_ns * BAR / total_ns);
		to = (unsigned)((step->until_ns * BAR + total_ns - 1) / total_ns);
	}
	if (from >= BAR)
		from = BAR - 1;
	for (unsigned i = 0; i < BAR; i++)
		print(out, i >= from && (i < to || i == from) ? "=" : ".");
}

static void write_step(FILE *out, const struct step *step, uint64_t total_ns)
{
	char at[WORD_SIZE], lasted[WORD_SIZE];

	print(out, "  %10s  ", word_duration(step->at_ns, at));
	bar(out, step, total_ns);
	print(out, " %9s  ",
	      word_duration(step->until_ns > step->at_ns ? step->until_ns - step->at_ns : 0,
			    lasted));
	print_text(out, step->name && *step->name ? step->name : "?");
	putc('\n', out);
}

/* A state's name appears when it is done; after that, the handshake waits for the next one. */
static void write_states(FILE *out, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	uint64_t total = subject->facts.age_ns;
	unsigned count = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES;
	struct step step = {.name = "(start)"};

	fputs("\nStates completed, and the time until the next one\n", out);
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));

		step.until_ns = at;
		write_step(out, &step, total);
		step.name = trace_state_name(subject->trace, TLSTALL_STATE_ID(h->states[i]));
		step.at_ns = at;
	}
	step.until_ns = total;
	write_step(out, &step, total);
}

/* ---- stack ------------------------------------------------------------------------ */

static void write_stack(FILE *out, const struct subject *subject, const struct unwound *unwound,
			struct symbols *symbols)
{
	char where[128];

	stack_where(subject->pid_here, host_thread(subject->pid_here, (pid_t)subject->h.tid),
		    subject->live.own_fd, unwound, where, sizeof(where));
	print(out, "\nThread %u %s%s%s\n", subject->h.tid, where,
	      subject->facts.in_op_ns ? "" : " (between calls)",
	      stack_when(subject, unwound, symbols));
	stack_write(out, unwound, symbols, "  ");
}

void detail_write(FILE *out, struct subject *subject, struct symbols *symbols)
{
	pid_t pid = subject->pid_here;
	char text[2048], why[200] = "the process has ended";
	struct unwound unwound = {.count = 0};
	bool seen = subject->facts.process_alive && !kernel_access(pid, why, sizeof(why)) &&
		    !stack_explain(subject, symbols, &unwound, text, sizeof(text));

	paragraph_write(out, subject, NULL, false);
	write_states(out, subject);
	if (seen)
		write_stack(out, subject, &unwound, symbols);
	else
		print(out, "\nNo stack: %s\n", why);
	subject->facts.stack_symbols = NULL;
}
