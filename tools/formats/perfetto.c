/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace Event JSON, which ui.perfetto.dev and chrome://tracing open. A process has a track for each
 * thread, with its calls, and two for each handshake: its states and its waits. Times are
 * microseconds since the epoch.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "formats/format.h"
#include "text/json_line.h"
#include "text/print.h"
#include "view/record.h"
#include "words/words.h"

struct timeline {
	FILE *out;
	struct json_line line;
	uint64_t begun; /* events */
	uint64_t named; /* the last process that got its name; 0: none */
	bool failed;	/* memory ran out: an event is missing */
};

struct one {
	struct timeline *to;
	const struct subject *subject;
	const struct gathered *gathered;
	uint64_t start_ns, end_ns; /* since the epoch */
};

/* ---- events ------------------------------------------------------------------------ */

static void end_event(struct timeline *to)
{
	json_line_end(&to->line);
	to->failed |= to->line.failed;
	if (to->failed)
		return;
	if (to->begun++)
		putc(',', to->out);
	putc('\n', to->out);
	fwrite(to->line.text, 1, to->line.length, to->out);
}

/* Processes of several hosts or containers may share an id: numbers them by trace and process. */
static uint64_t process_of(const struct one *one)
{
	return ((uint64_t)one->gathered->row->source << 24 | one->subject->h.process) + 1;
}

static struct json_line *event(const struct one *one, const char *phase, const char *name,
			       uint64_t ns)
{
	struct json_line *line = &one->to->line;

	json_line_begin(line);
	member_text(line, "ph", phase);
	member_text(line, "name", name);
	member_number(line, "pid", process_of(one));
	member_number(line, "tid", one->subject->h.tid);
	/* clock pairs are not exact enough for fractions of a microsecond */
	member_number(line, "ts", ns / 1000);
	return line;
}

/* One of a pair of events on this handshake's track: 'b' begins, 'e' ends. */
static struct json_line *on_track(const struct one *one, const char *phase, const char *track,
				  const char *name, uint64_t ns)
{
	struct json_line *line = event(one, phase, name, ns);
	char id[48];

	snprintf(id, sizeof(id), "%" PRIx64 ".%" PRIx64, process_of(one),
		 record_handshake_id(one->subject->trace, one->subject->h.number));
	member_text(line, "cat", track);
	member_text(line, "id", id);
	return line;
}

static void put_span(const struct one *one, const char *track, const char *name, uint64_t from,
		     uint64_t to)
{
	on_track(one, "b", track, name, from);
	end_event(one->to);
	on_track(one, "e", track, name, to);
	end_event(one->to);
}

/* ---- a handshake --------------------------------------------------------------------- */

static void name_process(const struct one *one)
{
	struct json_line *line;

	if (one->to->named == process_of(one))
		return;
	one->to->named = process_of(one);
	line = event(one, "M", "process_name", 0);
	member_object(line, "args");
	member_text(line, "name", one->subject->process.comm);
	member_number(line, "pid", one->subject->process.pid);
	end_event(one->to);
}

static void put_verdict(const struct one *one)
{
	const struct verdict *verdict = one->subject->verdicts;
	struct json_line *line;

	if (!one->subject->verdict_count || verdict->cause == CAUSE_NONE)
		return;
	line = on_track(one, "n", "handshake", cause_name(verdict->cause), one->end_ns);
	member_object(line, "args");
	member_text(line, "fault", fault_name(verdict->fault));
	member_text(line, "confidence", confidence_name(verdict->confidence));
	member_array(line, "evidence");
	for (unsigned i = 0; i < verdict->evidence_count; i++)
		member_text(line, NULL, verdict->evidence[i]);
	end_event(one->to);
}

static void put_states(const struct one *one)
{
	const struct tlstall_handshake *h = &one->subject->h;
	struct trace *trace = one->subject->trace;
	unsigned count = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES;

	for (unsigned i = 0; i < count; i++) {
		uint64_t from =
			one->start_ns + trace_span_ns(trace, TLSTALL_STATE_TICKS(h->states[i]));
		uint64_t to = i + 1 < count
				      ? one->start_ns +
						trace_span_ns(trace,
							      TLSTALL_STATE_TICKS(h->states[i + 1]))
				      : one->end_ns;

		if (from <= to)
			put_span(one, "handshake",
				 trace_state_name(trace, TLSTALL_STATE_ID(h->states[i])), from, to);
	}
}

static void put_handshake(const struct one *one)
{
	const struct tlstall_handshake *h = &one->subject->h;
	const char *name = h->sni[0] ? h->sni : word_role(h->role);
	char word[WORD_SIZE];
	struct json_line *line = on_track(one, "b", "handshake", name, one->start_ns);

	member_object(line, "args");
	member_text(line, "role", word_role(h->role));
	member_text(line, "outcome", word_outcome(h->outcome));
	member_text(line, "peer", word_address(&h->peer, word));
	member_text(line, "version", word_version(h->version, word));
	member_number(line, "calls", h->calls);
	end_event(one->to);
	put_states(one);
	put_verdict(one);
	on_track(one, "e", "handshake", name, one->end_ns);
	end_event(one->to);
}

/* Its first calls, which the report keeps, and what it waited for between them. */
static void put_calls(const struct one *one)
{
	struct trace *trace = one->subject->trace;
	uint64_t before = 0;

	for (size_t i = 0; i < one->gathered->call_count; i++) {
		const struct gathered_call *call = &one->gathered->calls[i];
		uint64_t from = one->start_ns + gathered_after_ns(one->gathered, call->ticks);
		uint64_t took = trace_span_ns(trace, call->duration);
		struct json_line *line;

		if (i && from > before)
			put_span(one, "wait", word_error_short(call[-1].error), before, from);
		line = event(one, "X", trace_function_name(trace, call->function), from);
		member_number(line, "dur", took / 1000);
		member_object(line, "args");
		member_signed(line, "ret", call->ret);
		member_text(line, "error", word_error(call->error));
		member_text(line, "state", trace_state_name(trace, call->state));
		end_event(one->to);
		before = from + took;
	}
}

/* ---- the format ------------------------------------------------------------------------ */

static void *begin(const struct export_target *target)
{
	struct timeline *to = calloc(1, sizeof(*to));

	if (!to)
		return NULL;
	to->out = target->out;
	fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", to->out);
	return to;
}

static int put(void *context, const struct gathered *gathered, const char *label)
{
	const struct subject *subject = gathered->subject;
	struct one one = {.to = context, .subject = subject, .gathered = gathered};

	(void)label;
	one.start_ns = trace_start_ns(subject->trace, &subject->h);
	one.end_ns = one.start_ns + subject->facts.time.total_ns;
	name_process(&one);
	put_handshake(&one);
	put_calls(&one);
	return one.to->failed || ferror(one.to->out) ? -1 : 0;
}

static int end(void *context, bool whole)
{
	struct timeline *to = context;

	(void)whole;
	fputs("\n]}\n", to->out);
	json_line_free(&to->line);
	free(to);
	return 0;
}

const struct format format_perfetto = {
	.name = "perfetto",
	.kind = FORMAT_EXPORT,
	.export =
		&(const struct format_export){
			.calls = true, .begin = begin, .handshake = put, .end = end},
};
