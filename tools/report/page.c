/* SPDX-License-Identifier: Apache-2.0 */
/* Gathers what the page shows of each handshake. See page.h; page_data.c writes it. */
#include <stdlib.h>
#include <string.h>

#include "report/calls.h"
#include "report/page_data.h"
#include "words/words.h"

static const enum column_type types[PAGE_COLUMNS] = {
#define COLUMN(name, type) COLUMN_##type,
#include "report/page_columns.def"
};

/* ---- texts ------------------------------------------------------------------- */

/* A field of fixed size, perhaps not terminated in a damaged trace. */
static uint32_t field(struct strings *strings, const char *text, size_t size)
{
	char copy[128];

	size = strnlen(text, size < sizeof(copy) ? size : sizeof(copy) - 1);
	memcpy(copy, text, size);
	copy[size] = '\0';
	return strings_any(strings, copy);
}

static uint32_t version_id(struct page *page, uint16_t version)
{
	char text[WORD_SIZE];

	return strings_any(&page->versions, word_version(version, text));
}

/* ---- one row ------------------------------------------------------------------ */

static void set_session(struct page *page, const struct gathered *gathered, double *value)
{
	const struct subject *subject = gathered->subject;
	const struct tlstall_handshake *h = &subject->h;
	const struct facts *facts = &subject->facts;
	struct strings *strings = &page->report->strings;
	bool ok = h->outcome == TLSTALL_OUTCOME_OK;

	value[PAGE_peer] = gathered->row->peer;
	value[PAGE_port] = h->role == TLSTALL_ROLE_SERVER ? h->peer.port : 0;
	value[PAGE_role] = h->role;
	value[PAGE_version] = version_id(page, h->version);
	value[PAGE_cipher] = gathered->row->cipher;
	value[PAGE_group] = strings_any(strings, trace_string(subject->trace, h->group));
	value[PAGE_sni] = field(strings, h->sni, sizeof(h->sni));
	value[PAGE_alpn] = field(strings, h->alpn, sizeof(h->alpn));
	value[PAGE_state] = strings_any(strings, ok || !facts->failed_state || !*facts->failed_state
							 ? facts->state
							 : facts->failed_state);
	value[PAGE_reason] = strings_any(strings, facts->reason);
	value[PAGE_err] = h->last_error;
	value[PAGE_oserr] = h->last_errno;
}

static void set_work(const struct subject *subject, double *value)
{
	const struct tlstall_handshake *h = &subject->h;
	const struct facts *facts = &subject->facts;

	value[PAGE_calls] = h->calls;
	value[PAGE_want_read] = h->want_read;
	value[PAGE_want_write] = h->want_write;
	value[PAGE_bytes_in] = (double)h->bytes_in;
	value[PAGE_bytes_out] = (double)h->bytes_out;
	value[PAGE_cpu] = (double)facts->time.cpu_ns;
	value[PAGE_wait] = (double)facts->time.wait_in_call_ns;
	value[PAGE_gap_waiting] = (double)facts->time.gap_waiting_ns;
	value[PAGE_gap_ready] = (double)facts->time.gap_ready_ns;
	value[PAGE_gap] = (double)facts->longest_gap_ns;
	value[PAGE_gap_ready_max] = h->longest_gap_ready_ms * 1e6;
	value[PAGE_ssl] = (double)h->ssl;
	value[PAGE_tid] = h->tid;
}

static int add_columns(struct page *page, const struct gathered *gathered)
{
	const struct report_row *row = gathered->row;
	const struct tlstall_process *process = &gathered->subject->process;
	double value[PAGE_COLUMNS] = {
		[PAGE_dur] = (double)row->duration_ns,
		[PAGE_id] = (double)row->number,
		[PAGE_source] = row->source,
		[PAGE_outcome] = row->outcome,
		[PAGE_cause] = row->cause,
		[PAGE_fault] = row->fault,
		[PAGE_flags] = row->flags,
		[PAGE_retries] = row->retries,
		[PAGE_path] = row->path,
		[PAGE_stack] = row->code,
		[PAGE_pid] = process->pid,
		[PAGE_comm] = field(&page->report->strings, process->comm, sizeof(process->comm)),
	};

	set_session(page, gathered, value);
	set_work(gathered->subject, value);
	for (unsigned i = 0; i < PAGE_COLUMNS; i++) {
		if (column_add(&page->columns[i], value[i]) < 0)
			return -1;
	}
	return 0;
}

/* ---- its calls and states -------------------------------------------------------- */

static int add_call(struct page *page, const struct gathered *gathered,
		    const struct gathered_call *call)
{
	struct trace *trace = gathered->subject->trace;
	struct column *column = page->calls;
	const char *name = trace_function_name(trace, call->function);
	const char *state = trace_state_name(trace, call->state);
	int result = column_add(&column[0], (double)gathered_after_ns(gathered, call->ticks));

	result |= column_add(&column[1], (double)trace_span_ns(trace, call->duration));
	result |= column_add(&column[2], strings_any(&page->names, name));
	result |= column_add(&column[3], call->ret);
	result |= column_add(&column[4], call->error);
	result |= column_add(&column[5], strings_any(&page->names, state));
	return result;
}

/* The op in flight has no event: the handshake has its data. */
static int add_call_in_flight(struct page *page, const struct gathered *gathered)
{
	const struct tlstall_handshake *h = &gathered->subject->h;
	uint64_t now = trace_horizon(gathered->subject->trace, h->process);
	const struct gathered_call call = {
		.ticks = h->enter,
		.duration = now > h->enter ? now - h->enter : 0,
		.function = h->in_call_function,
		.error = PAGE_NOT_RETURNED,
		.state = h->state,
	};

	if (!h->enter || h->end || h->enter < h->start)
		return 0;
	return add_call(page, gathered, &call);
}

static int add_calls(struct page *page, const struct gathered *gathered)
{
	int result = column_add(&page->call_offset, (double)page->calls[0].count);

	for (size_t i = 0; i < gathered->call_count; i++)
		result |= add_call(page, gathered, &gathered->calls[i]);
	return result | add_call_in_flight(page, gathered);
}

static int add_states(struct page *page, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	unsigned count = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES;
	int result = column_add(&page->state_offset, (double)page->states[0].count);

	for (unsigned i = 0; i < count; i++) {
		const char *name = trace_state_name(subject->trace, TLSTALL_STATE_ID(h->states[i]));
		uint64_t at = trace_span_ns(subject->trace, TLSTALL_STATE_TICKS(h->states[i]));

		result |= column_add(&page->states[0], strings_any(&page->names, name));
		result |= column_add(&page->states[1], (double)at);
	}
	return result;
}

static int add_row(void *context, const struct gathered *gathered)
{
	struct page *page = context;
	size_t row = page->columns[0].count;

	if (add_columns(page, gathered) < 0 || add_calls(page, gathered) < 0 ||
	    add_states(page, gathered->subject) < 0)
		return -1;
	return page_add_evidence(page, row, gathered);
}

/* ---- life ------------------------------------------------------------------------ */

struct page *page_new(struct report *report)
{
	static const enum column_type call_types[PAGE_CALL_PARTS] = {
		COLUMN_REAL, COLUMN_REAL, COLUMN_COUNT, COLUMN_SIGNED, COLUMN_COUNT, COLUMN_COUNT};
	struct page *page = calloc(1, sizeof(*page));

	if (!page)
		return NULL;
	page->report = report;
	for (unsigned i = 0; i < PAGE_COLUMNS; i++)
		page->columns[i].type = types[i];
	for (unsigned i = 0; i < PAGE_CALL_PARTS; i++)
		page->calls[i].type = call_types[i];
	page->states[1].type = COLUMN_REAL;
	strings_id(&page->names, NULL);
	strings_id(&page->versions, NULL);
	page->evidence = open_memstream(&page->evidence_text, &page->evidence_size);
	if (!page->evidence) {
		free(page);
		return NULL;
	}
	return page;
}

void page_free(struct page *page)
{
	for (unsigned i = 0; i < PAGE_COLUMNS; i++)
		column_free(&page->columns[i]);
	for (unsigned i = 0; i < PAGE_CALL_PARTS; i++)
		column_free(&page->calls[i]);
	for (unsigned i = 0; i < PAGE_STATE_PARTS; i++)
		column_free(&page->states[i]);
	column_free(&page->call_offset);
	column_free(&page->state_offset);
	column_free(&page->evidence_row);
	column_free(&page->evidence_at);
	fclose(page->evidence);
	free(page->evidence_text);
	strings_free(&page->names);
	strings_free(&page->versions);
	free(page);
}

struct report_sink page_sink(struct page *page)
{
	return (struct report_sink){
		.handshake = add_row, .context = page, .calls = true, .codes = true};
}
