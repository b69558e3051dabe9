/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records. See record.h. */
#include "view/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "view/call.h"
#include "view/words.h"

/* ---- values --------------------------------------------------------------- */

/* Texts of the traced program need not be UTF-8, JSON must be. */
json_t *record_text(const char *text)
{
	json_t *string = json_string(text);
	char *copy = string ? NULL : strdup(text);

	if (!copy)
		return string;
	for (char *c = copy; *c; c++)
		if (*c & 0x80)
			*c = '?';
	string = json_string(copy);
	free(copy);
	return string;
}

static void set(json_t *object, const char *key, json_t *value)
{
	json_object_set_new_nocheck(object, key, value);
}

/* Absent where it is not known. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && *text)
		set(object, key, record_text(text));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	set(object, key, json_integer((json_int_t)number));
}

static void set_address(json_t *object, const char *key, uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	set(object, key, json_string_nocheck(text));
}

static json_t *new_record(const char *type)
{
	json_t *record = json_object();

	set(record, "type", json_string_nocheck(type));
	set(record, "schema", json_string_nocheck(RECORD_SCHEMA));
	return record;
}

static json_t *stack_frames(struct trace *trace, uint32_t id, struct symbols *symbols)
{
	struct tlstall_stack stack;
	struct symbol symbol;
	char text[256];
	json_t *frames;

	if (!symbols || !id || trace_stack(trace, id, &stack))
		return NULL;
	frames = json_array();
	for (uint32_t i = 0; i < stack.count && i < TLSTALL_STACK_FRAMES; i++) {
		memset(&symbol, 0, sizeof(symbol));
		symbols_find(symbols, stack.frames[i], true, &symbol);
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		json_array_append_new(frames, record_text(text));
	}
	return frames;
}

static void set_stack(json_t *record, struct trace *trace, uint32_t id, struct symbols *symbols)
{
	json_t *frames = stack_frames(trace, id, symbols);

	if (frames)
		set(record, "stack", frames);
}

/*
 * Unique within a process: exec keeps the process id, its traces count from 1
 * again.
 */
static uint64_t handshake_id(struct trace *trace, uint64_t number)
{
	return (uint64_t)trace_header(trace)->image << 32 | number;
}

/* ---- calls ---------------------------------------------------------------- */

static void set_transport(json_t *record, struct trace *trace, const struct tlstall_event *event,
			  const struct tlstall_handshake *h)
{
	set_text(record, "bio_read", trace_string(trace, h->read.name));
	set_text(record, "bio_write", trace_string(trace, h->write.name));
	if (h->read.bio_class != TLSTALL_BIO_NONE)
		set_number(record, "bio_type", (uint64_t)(uint32_t)h->read.type);
	if (h->read.fd >= 0)
		set_number(record, "fd", (uint64_t)h->read.fd);
	if (h->read.fd >= 0 && (event->flags & TLSTALL_EV_BLOCKING_KNOWN))
		set(record, "blocking", json_boolean(event->flags & TLSTALL_EV_BLOCKING));
}

static void set_errors(json_t *record, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	if (event->error_number)
		set_number(record, "errno", event->error_number);
	if (event->ossl_error)
		set_number(record, "ossl_error", event->ossl_error);
	if (event->ossl_error && h && h->ossl_error == event->ossl_error)
		set_text(record, "reason", trace_string(trace, h->reason));
	if (event->flags & TLSTALL_EV_STALE_QUEUE)
		set(record, "stale_queue", json_true());
	if ((event->flags & TLSTALL_EV_STALE_QUEUE) && h && h->stale_error)
		set_number(record, "stale_error", h->stale_error);
}

/* Of an op: all but what SSL_get_error has too. */
static void set_op(json_t *record, struct trace *trace, const struct tlstall_event *event,
		   const struct tlstall_handshake *h, struct symbols *symbols)
{
	set(record, "ret", json_integer(event->ret));
	set(record, "error_class", json_string_nocheck(call_error_class(trace, event)));
	set_errors(record, trace, event, h);
	if (event->pending_in != UINT32_MAX)
		set_number(record, "pending_in", event->pending_in);
	if (event->pending_out != UINT32_MAX)
		set_number(record, "pending_out", event->pending_out);
	if (!h)
		return;
	set_transport(record, trace, event, h);
	set_stack(record, trace, call_stack(trace, event, h), symbols);
}

static const char *event_role(const struct tlstall_event *event)
{
	if (event->flags & TLSTALL_EV_SERVER)
		return word_role(TLSTALL_ROLE_SERVER);
	return word_role(event->flags & TLSTALL_EV_CLIENT ? TLSTALL_ROLE_CLIENT
							  : TLSTALL_ROLE_UNKNOWN);
}

static void set_process(json_t *record, struct trace *trace, const struct tlstall_process *process)
{
	set_text(record, "host", trace_header(trace)->host);
	set_number(record, "pid", process->pid);
	set_text(record, "comm", process->comm);
}

json_t *record_call(struct trace *trace, const struct tlstall_event *event,
		    const struct tlstall_handshake *h, struct symbols *symbols)
{
	struct tlstall_process process = {0};
	json_t *record;

	if (event->type != TLSTALL_EVENT_CALL && event->type != TLSTALL_EVENT_GET_ERROR)
		return NULL;
	trace_process(trace, event->process, &process);
	record = new_record("call");
	set_number(record, "ts_ns", trace_realtime_ns(trace, trace_event_end(event)));
	set_process(record, trace, &process);
	set_number(record, "tid", event->tid);
	set_text(record, "fn", trace_function_name(trace, event->function));
	set_address(record, "ssl", event->ssl);
	if (event->handshake)
		set_number(record, "handshake",
			   handshake_id(trace, h ? h->number : event->handshake));
	set_text(record, "role", event_role(event));
	if (event->type == TLSTALL_EVENT_GET_ERROR)
		set(record, "arg_ret", json_integer(event->ret));
	else
		set_op(record, trace, event, h, symbols);
	set(record, "error", json_string_nocheck(word_error(event->error)));
	set_number(record, "retry", event->retry);
	set_text(record, "state", trace_state_name(trace, event->state));
	set_number(record, "duration_ns", trace_span_ns(trace, (uint64_t)event->duration));
	return record;
}

/* ---- handshakes ------------------------------------------------------------ */

static json_t *time_parts(const struct time_split *time)
{
	json_t *parts = json_object();

	set_number(parts, "cpu_ns", time->cpu_ns);
	set_number(parts, "wait_in_call_ns", time->wait_in_call_ns);
	set_number(parts, "gap_waiting_ns", time->gap_waiting_ns);
	set_number(parts, "gap_ready_ns", time->gap_ready_ns);
	set_number(parts, "other_ns", time->other_ns);
	return parts;
}

static json_t *states(const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	json_t *list = json_array();

	for (unsigned i = 0; i < h->state_count && i < TLSTALL_STATES; i++) {
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));
		json_t *state = json_object();

		set(state, "state",
		    record_text(trace_state_name(subject->trace, TLSTALL_STATE_ID(h->states[i]))));
		set_number(state, "at_ns", at < subject->facts.age_ns ? at : subject->facts.age_ns);
		json_array_append_new(list, state);
	}
	return list;
}

static json_t *alerts(const struct tlstall_handshake *h)
{
	json_t *list = json_array();
	char buffer[WORD_SIZE];

	for (unsigned i = 0; i < h->alert_count && i < sizeof(h->alerts) / sizeof(*h->alerts);
	     i++) {
		const struct tlstall_alert *alert = &h->alerts[i];
		json_t *entry = json_object();

		set(entry, "by", json_string_nocheck(alert->by_peer ? "peer" : "us"));
		set(entry, "level", json_string_nocheck(word_alert_level(alert->level)));
		set(entry, "description",
		    json_string_nocheck(word_alert(alert->description, buffer)));
		set_number(entry, "at_ns", alert->at_us * 1000ull);
		json_array_append_new(list, entry);
	}
	return list;
}

static void set_session(json_t *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	char buffer[WORD_SIZE];

	set_text(record, "peer", word_address(&h->peer, buffer));
	set_text(record, "sni", h->sni);
	set_text(record, "alpn", h->alpn);
	set_text(record, "version", word_version(h->version, buffer));
	set_text(record, "cipher", trace_string(subject->trace, h->cipher));
	set_text(record, "group", trace_string(subject->trace, h->group));
	if (h->outcome == TLSTALL_OUTCOME_OK)
		set(record, "resumed", json_boolean(h->flags & TLSTALL_HS_RESUMED));
	if (h->end) {
		set(record, "verify_result", json_integer(h->verify_result));
		set_text(record, "verify_reason", word_verify(h->verify_result, buffer));
	}
}

static void set_counts(json_t *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	set(record, "outcome", json_string_nocheck(word_outcome(h->outcome)));
	set_number(record, "calls", h->calls);
	set_number(record, "retries", h->retries);
	set_number(record, "want_read", h->want_read);
	set_number(record, "want_write", h->want_write);
	set_number(record, "want_other", h->want_other);
	set_number(record, "duration_ns", subject->facts.time.total_ns);
	set(record, "time", time_parts(&subject->facts.time));
	set_number(record, "bytes_in", h->bytes_in);
	set_number(record, "bytes_out", h->bytes_out);
	set(record, "states", states(subject));
	set(record, "alerts", alerts(h));
	if (h->outcome != TLSTALL_OUTCOME_OK && h->last_error)
		set(record, "error", json_string_nocheck(word_error(h->last_error)));
	if (h->ossl_error)
		set_text(record, "reason", trace_string(subject->trace, h->reason));
}

static json_t *texts(const struct verdict *verdict)
{
	json_t *evidence = json_array();

	for (unsigned i = 0; i < verdict->evidence_count; i++)
		json_array_append_new(evidence, record_text(verdict->evidence[i]));
	return evidence;
}

/* The causes that took part too, the costliest first. */
static void set_other_verdicts(json_t *record, const struct subject *subject)
{
	json_t *others = json_array();

	for (unsigned i = 1; i < subject->verdict_count; i++) {
		const struct verdict *verdict = &subject->verdicts[i];
		json_t *other = json_object();

		set(other, "cause", json_string_nocheck(cause_name(verdict->cause)));
		set(other, "fault", json_string_nocheck(fault_name(verdict->fault)));
		set(other, "confidence", json_string_nocheck(confidence_name(verdict->confidence)));
		set_number(other, "cost_ns", verdict->cost_ns);
		set(other, "evidence", texts(verdict));
		json_array_append_new(others, other);
	}
	set(record, "also", others);
}

static void set_verdict(json_t *record, const struct verdict *verdict)
{
	json_t *others = json_array();

	for (unsigned i = 0; i < verdict->not_told_from_count; i++)
		json_array_append_new(others,
				      json_string_nocheck(cause_name(verdict->not_told_from[i])));
	set(record, "cause", json_string_nocheck(cause_name(verdict->cause)));
	set(record, "fault", json_string_nocheck(fault_name(verdict->fault)));
	set(record, "confidence", json_string_nocheck(confidence_name(verdict->confidence)));
	set(record, "evidence", texts(verdict));
	set(record, "not_told_from", others);
	set_text(record, "advice", verdict->advice);
}

json_t *record_handshake(const struct subject *subject, struct symbols *symbols)
{
	const struct tlstall_handshake *h = &subject->h;
	json_t *record = new_record("handshake");

	set_number(record, "ts_ns", trace_realtime_ns(subject->trace, h->start));
	set_process(record, subject->trace, &subject->process);
	set_number(record, "handshake", handshake_id(subject->trace, h->number));
	set_address(record, "ssl", h->ssl);
	set_text(record, "role", word_role(h->role));
	set_session(record, subject);
	set_counts(record, subject);
	if (subject->verdict_count)
		set_verdict(record, &subject->verdicts[0]);
	if (subject->verdict_count > 1)
		set_other_verdicts(record, subject);
	set_stack(record, subject->trace, h->stack_fail ? h->stack_fail : h->stack_first, symbols);
	return record;
}

json_t *record_lost(uint64_t count)
{
	json_t *record = new_record("lost");

	set_number(record, "count", count);
	return record;
}
