/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records. See record.h. */
#include "view/record.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/host.h"
#include "view/line.h"
#include "view/packed.h"
#include "words/words.h"

/* ---- values --------------------------------------------------------------- */

/* Leaves the member out if it is not known. */
static void set_text(struct json_line *record, const char *key, const char *text)
{
	if (text && *text)
		member_text(record, key, text);
}

static void set_address(struct json_line *record, const char *key, uint64_t address)
{
	char text[24];

	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	member_text(record, key, text);
}

void record_begin(struct json_line *record, const char *type)
{
	json_line_begin(record);
	member_text(record, "type", type);
	member_text(record, "schema", RECORD_SCHEMA);
}

static void set_stack(struct json_line *record, struct trace *trace, uint32_t id,
		      struct symbols *symbols)
{
	struct tlstall_stack stack;
	struct symbol symbol;
	char text[256];

	if (!symbols || !id || trace_stack(trace, id, &stack))
		return;
	member_array(record, "stack");
	for (uint32_t i = 0; i < stack.count && i < TLSTALL_STACK_FRAMES; i++) {
		memset(&symbol, 0, sizeof(symbol));
		symbols_find_frame(symbols, &stack, i, &symbol);
		symbols_format(&symbol, stack.frames[i], text, sizeof(text));
		member_text(record, NULL, text);
	}
	member_end(record);
}

uint64_t record_handshake_id(struct trace *trace, uint64_t number)
{
	return (uint64_t)trace_header(trace)->image << 32 | number;
}

/* ---- calls ---------------------------------------------------------------- */

static void set_transport(struct json_line *record, struct trace *trace, const struct tlstall_event *event,
			  const struct tlstall_handshake *h)
{
	set_text(record, "bio_read", trace_string(trace, h->read.name));
	set_text(record, "bio_write", trace_string(trace, h->write.name));
	if (h->read.bio_class != TLSTALL_BIO_NONE)
		member_number(record, "bio_type", (uint64_t)(uint32_t)h->read.type);
	if (h->read.fd >= 0)
		member_number(record, "fd", (uint64_t)h->read.fd);
	if (h->read.fd >= 0 && (event->flags & TLSTALL_EV_BLOCKING_KNOWN))
		member_flag(record, "blocking", event->flags & TLSTALL_EV_BLOCKING);
}

static void set_errors(struct json_line *record, struct trace *trace, const struct tlstall_event *event,
		       const struct tlstall_handshake *h)
{
	if (event->error_number)
		member_number(record, "errno", event->error_number);
	if (event->ossl_error)
		member_number(record, "ossl_error", event->ossl_error);
	if (event->ossl_error && h && h->ossl_error == event->ossl_error)
		set_text(record, "reason", trace_string(trace, h->reason));
	if (event->flags & TLSTALL_EV_STALE_QUEUE)
		member_flag(record, "stale_queue", true);
	if ((event->flags & TLSTALL_EV_STALE_QUEUE) && h && h->stale_error)
		member_number(record, "stale_error", h->stale_error);
}

/* For an op: members that SSL_get_error does not have. */
static void set_op(struct json_line *record, struct trace *trace, const struct tlstall_event *event,
		   const struct tlstall_handshake *h, struct symbols *symbols)
{
	member_signed(record, "ret", event->ret);
	member_text(record, "error_class", call_error_class(trace, event));
	set_errors(record, trace, event, h);
	if (event->pending_in != UINT32_MAX)
		member_number(record, "pending_in", event->pending_in);
	if (event->pending_out != UINT32_MAX)
		member_number(record, "pending_out", event->pending_out);
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

/* Processes in two containers may have the same id, but their namespaces differ. */
static void set_process(struct json_line *record, struct trace *trace, const struct tlstall_process *process,
			pid_t here)
{
	set_text(record, "host", trace_header(trace)->host);
	member_number(record, "pid", process->pid);
	if (process->pid_namespace && process->pid_namespace != host_pid_namespace())
		member_number(record, "pid_namespace", process->pid_namespace);
	if (here && here != (pid_t)process->pid)
		member_number(record, "host_pid", (uint64_t)here);
	set_text(record, "comm", process->comm);
}

bool record_call(struct json_line *record, struct trace *trace, const struct tlstall_event *event,
		 const struct tlstall_handshake *h, uint64_t ts_ns, struct symbols *symbols)
{
	struct tlstall_process process = {0};

	if (event->type != TLSTALL_EVENT_CALL && event->type != TLSTALL_EVENT_GET_ERROR)
		return false;
	trace_process(trace, event->process, &process);
	record_begin(record, "call");
	member_number(record, "ts_ns", ts_ns);
	set_process(record, trace, &process, trace_pid_here(trace, event->process));
	member_number(record, "tid", event->tid);
	set_text(record, "fn", trace_function_name(trace, event->function));
	set_address(record, "ssl", event->ssl);
	if (event->handshake)
		member_number(record, "handshake",
			   record_handshake_id(trace, h ? h->number : event->handshake));
	set_text(record, "role", event_role(event));
	if (event->type == TLSTALL_EVENT_GET_ERROR)
		member_signed(record, "arg_ret", event->ret);
	else
		set_op(record, trace, event, h, symbols);
	member_text(record, "error", word_error(event->error));
	member_number(record, "retry", event->retry);
	set_text(record, "state", trace_state_name(trace, event->state));
	member_number(record, "duration_ns", trace_span_ns(trace, (uint64_t)event->duration));
	return true;
}

/* ---- handshakes ------------------------------------------------------------ */

static void set_time(struct json_line *record, const struct time_split *time)
{
	member_object(record, "time");
	member_number(record, "cpu_ns", time->cpu_ns);
	member_number(record, "wait_in_call_ns", time->wait_in_call_ns);
	member_number(record, "gap_waiting_ns", time->gap_waiting_ns);
	member_number(record, "gap_ready_ns", time->gap_ready_ns);
	member_number(record, "other_ns", time->other_ns);
	member_end(record);
}

static void set_states(struct json_line *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	member_array(record, "states");
	for (unsigned i = 0; i < h->state_count && i < TLSTALL_STATES; i++) {
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));

		member_object(record, NULL);
		member_text(record, "state",
			    trace_state_name(subject->trace, TLSTALL_STATE_ID(h->states[i])));
		member_number(record, "at_ns",
			      at < subject->facts.age_ns ? at : subject->facts.age_ns);
		member_end(record);
	}
	member_end(record);
}

static void set_alerts(struct json_line *record, const struct tlstall_handshake *h)
{
	char buffer[WORD_SIZE];

	member_array(record, "alerts");
	for (unsigned i = 0; i < h->alert_count && i < sizeof(h->alerts) / sizeof(*h->alerts);
	     i++) {
		const struct tlstall_alert *alert = &h->alerts[i];

		member_object(record, NULL);
		member_text(record, "by", alert->by_peer ? "peer" : "us");
		member_text(record, "level", word_alert_level(alert->level));
		member_text(record, "description", word_alert(alert->description, buffer));
		member_number(record, "at_ns", alert->at_us * 1000ull);
		member_end(record);
	}
	member_end(record);
}

static void set_session(struct json_line *record, const struct subject *subject)
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
		member_flag(record, "resumed", h->flags & TLSTALL_HS_RESUMED);
	if (h->end) {
		member_signed(record, "verify_result", h->verify_result);
		set_text(record, "verify_reason", word_verify(h->verify_result, buffer));
		set_text(record, "peer_not_before", word_date(h->not_before, buffer));
		set_text(record, "peer_not_after", word_date(h->not_after, buffer));
	}
}

static void set_calls(struct json_line *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	member_number(record, "calls", h->calls);
	member_number(record, "retries", h->retries);
	member_number(record, "want_read", h->want_read);
	member_number(record, "want_write", h->want_write);
	member_number(record, "want_other", h->want_other);
	set_time(record, &subject->facts.time);
}

/* Found from outside: only how long nothing has moved, and what it does now, are known. */
static void set_look(struct json_line *record, const struct subject *subject)
{
	const struct facts *facts = &subject->facts;

	member_text(record, "seen", "outside");
	member_flag(record, "at_least", true);
	member_flag(record, "inside", subject->h.enter);
	set_text(record, "fn", facts->in_call_function);
	set_text(record, "syscall", subject->live.syscall);
	if (subject->h.tid)
		member_number(record, "tid", subject->h.tid);
	if (subject->h.read.fd >= 0)
		member_number(record, "fd", (uint64_t)subject->h.read.fd);
}

/* Begun before the shim was attached: how long before is known only as a lower bound. */
static void set_middle(struct json_line *record, const struct facts *facts)
{
	member_flag(record, "at_least", true);
	if (facts->begun_ns)
		member_number(record, "begun_before_ns", facts->begun_ns);
}

static void set_counts(struct json_line *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	member_text(record, "outcome", word_outcome(h->outcome));
	if (!(h->flags & TLSTALL_HS_LOOKED))
		set_calls(record, subject);
	member_number(record, "duration_ns", subject->facts.time.total_ns);
	member_number(record, "bytes_in", h->bytes_in);
	member_number(record, "bytes_out", h->bytes_out);
	set_states(record, subject);
	set_alerts(record, h);
	if (h->outcome != TLSTALL_OUTCOME_OK && h->last_error)
		member_text(record, "error", word_error(h->last_error));
	if (h->ossl_error)
		set_text(record, "reason", trace_string(subject->trace, h->reason));
}

/* Members that few handshakes have. */
static void set_oddities(struct json_line *record, const struct facts *f)
{
	char word[WORD_SIZE];

	if (f->fatal_calls) {
		member_object(record, "after_fatal");
		member_number(record, "calls", f->fatal_calls);
		member_number(record, "duration_ns", f->fatal_ns);
		member_number(record, "cpu_ns", f->fatal_cpu_ns);
		member_end(record);
	}
	if (f->gap_cpu_known)
		member_number(record, "longest_gap_cpu_ns", f->gap_cpu_ns);
	if (f->idle_cpu_known)
		member_number(record, "idle_cpu_ns", f->idle_cpu_ns);
	if (f->timer_calls)
		member_number(record, "timer_calls", f->timer_calls);
	if (f->left)
		member_flag(record, "left", true);
	if (f->key_type)
		member_text(record, "key_type", word_key(f->key_type, word));
	if (f->key_bits)
		member_number(record, "key_bits", f->key_bits);
	if (f->connected_ms)
		member_number(record, "connected_ms", f->connected_ms);
}

/* A verdict, in an object of its own or in the record itself. */
static void set_judgment(struct json_line *record, const struct verdict *verdict)
{
	member_text(record, "cause", cause_name(verdict->cause));
	member_text(record, "fault", fault_name(verdict->fault));
	member_text(record, "confidence", confidence_name(verdict->confidence));
}

static void set_evidence(struct json_line *record, const struct verdict *verdict)
{
	member_array(record, "evidence");
	for (unsigned i = 0; i < verdict->evidence_count; i++)
		member_text(record, NULL, verdict->evidence[i]);
	member_end(record);
}

/* Other causes that took part, the costliest first. */
static void set_other_verdicts(struct json_line *record, const struct subject *subject)
{
	member_array(record, "also");
	for (unsigned i = 1; i < subject->verdict_count; i++) {
		const struct verdict *verdict = &subject->verdicts[i];

		member_object(record, NULL);
		set_judgment(record, verdict);
		member_number(record, "cost_ns", verdict->cost_ns);
		set_evidence(record, verdict);
		member_end(record);
	}
	member_end(record);
}

static void set_verdict(struct json_line *record, const struct verdict *verdict)
{
	set_judgment(record, verdict);
	set_evidence(record, verdict);
	member_array(record, "not_told_from");
	for (unsigned i = 0; i < verdict->not_told_from_count; i++)
		member_text(record, NULL, cause_name(verdict->not_told_from[i]));
	member_end(record);
	set_text(record, "advice", verdict->advice);
}

void record_stack(struct json_line *record, const struct subject *subject, struct symbols *symbols)
{
	set_stack(record, subject->trace, subject_stack(subject), symbols);
}

void record_handshake(struct json_line *record, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;

	record_begin(record, "handshake");
	member_number(record, "ts_ns", trace_start_ns(subject->trace, h));
	set_process(record, subject->trace, &subject->process, subject->pid_here);
	member_number(record, "handshake", record_handshake_id(subject->trace, h->number));
	set_address(record, "ssl", h->ssl);
	member_text(record, "role", word_role(h->role));
	set_session(record, subject);
	set_counts(record, subject);
	if (packed_is(&subject->h))
		packed_record(record, subject->trace, &subject->h);
	set_oddities(record, &subject->facts);
	if (h->flags & TLSTALL_HS_LOOKED)
		set_look(record, subject);
	else if (h->flags & TLSTALL_HS_MIDDLE)
		set_middle(record, &subject->facts);
	if (subject->verdict_count)
		set_verdict(record, &subject->verdicts[0]);
	if (subject->verdict_count > 1)
		set_other_verdicts(record, subject);
}

void record_lost(struct json_line *record, uint64_t count)
{
	record_begin(record, "lost");
	member_number(record, "count", count);
}
