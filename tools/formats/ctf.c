/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes as events of the Common Trace Format: for babeltrace2, Trace Compass and LTTng's
 * tools.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/evidence.h"
#include "formats/ctf_graph.h"
#include "formats/format.h"
#include "view/record.h"
#include "words/words.h"

enum { BEGIN, STATE, CALL, END, CLASSES };

static const struct ctf_class classes[CLASSES] = {
	[BEGIN] = {"handshake_begin", {"comm", "role", "peer", "sni"}, {"pid", "handshake"}},
	[STATE] = {"state", {"state"}, {"pid", "handshake"}},
	[CALL] = {"call", {"function", "error"}, {"pid", "handshake", "ret", "duration_ns"}},
	[END] = {"handshake_end",
		 {"outcome", "cause", "fault", "confidence", "version", "cipher", "evidence"},
		 {"pid", "handshake", "duration_ns", "retries", "bytes_in", "bytes_out"}},
};

struct ctf {
	char *path;
	struct ctf_event *events;
	size_t count, room;
	struct strings strings;
};

/* Returns NULL if memory runs out. */
static struct ctf_event *add(struct ctf *ctf, unsigned class, const struct subject *subject,
			     uint64_t ns)
{
	size_t room = ctf->room ? ctf->room * 2 : 1024;
	struct ctf_event *events, *event;

	if (ctf->count == ctf->room) {
		events = reallocarray(ctf->events, room, sizeof(*events));
		if (!events)
			return NULL;
		ctf->events = events;
		ctf->room = room;
	}
	event = &ctf->events[ctf->count];
	ns = ns < TRACE_LAST_NS ? ns : TRACE_LAST_NS;
	*event = (struct ctf_event){.ns = ns, .order = ctf->count++, .class = &classes[class]};
	event->numbers[0] = subject->process.pid;
	event->numbers[1] = (int64_t)record_handshake_id(subject->trace, subject->h.number);
	return event;
}

static int add_begin(struct ctf *ctf, const struct subject *subject, uint64_t start_ns)
{
	struct ctf_event *event = add(ctf, BEGIN, subject, start_ns);
	const struct tlstall_handshake *h = &subject->h;
	char buffer[WORD_SIZE];

	if (!event)
		return -1;
	event->texts[0] = strings_any(&ctf->strings, subject->process.comm);
	event->texts[1] = strings_any(&ctf->strings, word_role(h->role));
	event->texts[2] = strings_any(&ctf->strings, word_address(&h->peer, buffer));
	event->texts[3] = strings_any(&ctf->strings, h->sni);
	return 0;
}

static int add_states(struct ctf *ctf, const struct subject *subject, uint64_t start_ns)
{
	const struct tlstall_handshake *h = &subject->h;

	for (unsigned i = 0; i < h->state_count && i < TLSTALL_STATES; i++) {
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));
		struct ctf_event *event = add(ctf, STATE, subject, start_ns + at);

		if (!event)
			return -1;
		event->texts[0] = strings_any(&ctf->strings,
					      trace_state_name(subject->trace,
							       TLSTALL_STATE_ID(h->states[i])));
	}
	return 0;
}

/* A call's event has the time of its return. */
static int add_calls(struct ctf *ctf, const struct gathered *gathered, uint64_t start_ns)
{
	const struct subject *subject = gathered->subject;

	for (size_t i = 0; i < gathered->call_count; i++) {
		const struct gathered_call *call = &gathered->calls[i];
		uint64_t at = gathered_after_ns(gathered, call->ticks + call->duration);
		struct ctf_event *event = add(ctf, CALL, subject, start_ns + at);

		if (!event)
			return -1;
		event->texts[0] = strings_any(&ctf->strings,
					      trace_function_name(subject->trace, call->function));
		event->texts[1] = strings_any(&ctf->strings, word_error(call->error));
		event->numbers[2] = call->ret;
		event->numbers[3] =
			(int64_t)trace_span_ns(subject->trace, call->duration);
	}
	return 0;
}

static int add_end(struct ctf *ctf, const struct subject *subject, uint64_t start_ns)
{
	uint64_t duration_ns = subject->facts.time.total_ns;
	struct ctf_event *event = add(ctf, END, subject, start_ns + duration_ns);
	const struct verdict *verdict = &subject->verdicts[0];
	const struct tlstall_handshake *h = &subject->h;
	char buffer[WORD_SIZE], evidence[EVIDENCE_SIZE];

	if (!event)
		return -1;
	event->texts[0] = strings_any(&ctf->strings, word_outcome(h->outcome));
	event->texts[1] = strings_any(&ctf->strings, cause_name(verdict->cause));
	event->texts[2] = strings_any(&ctf->strings, fault_name(verdict->fault));
	event->texts[3] = strings_any(&ctf->strings, confidence_name(verdict->confidence));
	event->texts[4] = strings_any(&ctf->strings, word_version(h->version, buffer));
	event->texts[5] = strings_any(&ctf->strings, trace_string(subject->trace, h->cipher));
	event->texts[6] = strings_any(&ctf->strings, evidence_text(verdict, evidence));
	event->numbers[2] = (int64_t)duration_ns;
	event->numbers[3] = h->retries;
	event->numbers[4] = (int64_t)h->bytes_in;
	event->numbers[5] = (int64_t)h->bytes_out;
	return 0;
}

static int put(void *context, const struct gathered *gathered, const char *label)
{
	const struct subject *subject = gathered->subject;
	uint64_t start_ns = trace_start_ns(subject->trace, &subject->h);
	struct ctf *ctf = context;

	(void)label;
	errno = ENOMEM;
	if (add_begin(ctf, subject, start_ns) || add_states(ctf, subject, start_ns) ||
	    add_calls(ctf, gathered, start_ns))
		return -1;
	return add_end(ctf, subject, start_ns);
}

static void *begin(const struct export_target *target)
{
	struct ctf *ctf = calloc(1, sizeof(*ctf));

	if (ctf)
		ctf->path = strdup(target->path);
	if (ctf && ctf->path)
		return ctf;
	free(ctf);
	return NULL;
}

static int by_time(const void *a, const void *b)
{
	const struct ctf_event *x = a, *y = b;

	if (x->ns != y->ns)
		return x->ns < y->ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int end(void *context, bool whole)
{
	struct ctf *ctf = context;
	struct ctf_trace trace;
	int result = 0, error;

	if (ctf->count)
		qsort(ctf->events, ctf->count, sizeof(*ctf->events), by_time);
	trace = (struct ctf_trace){classes, CLASSES, ctf->events, ctf->count, &ctf->strings};
	errno = ENOMEM;
	if (whole)
		result = ctf->strings.failed ? -1 : ctf_write(&trace, ctf->path);
	error = errno;
	strings_free(&ctf->strings);
	free(ctf->events);
	free(ctf->path);
	free(ctf);
	errno = error;
	return result;
}

const struct format format_ctf = {
	.name = "ctf",
	.kind = FORMAT_EXPORT,
	.export = &(const struct format_export){.calls = true,
						.needs_path = true,
						.begin = begin,
						.handshake = put,
						.end = end},
};
