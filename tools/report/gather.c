/* SPDX-License-Identifier: Apache-2.0 */
/*
 * See gather.h. Reads events before handshakes: a handshake that ends meanwhile is found in its
 * slot. One whose slot has a new owner has at least an END event.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diagnosis/facts.h"
#include "live/looker.h"
#include "report/calls.h"
#include "report/gather.h"
#include "words/words.h"

#define OVERWRITTEN_EVIDENCE "the trace keeps only its end; the details were overwritten"

struct gather {
	struct report *report;
	const struct report_sink *sink;
	struct progress *progress;
	struct trace *trace;
	const char *label;
	uint32_t source;
	uint64_t done, total;	    /* steps of progress */
	uint32_t *numbers;	    /* low 32 bits of the number of each slot's handshake */
	struct tlstall_event *ends; /* sorted by time */
	size_t end_count;
	struct gathered_calls calls;
	struct neighbors *neighbors;
	struct code_reader codes;
	struct subject *subject;
	uint64_t added, overwritten, lost;
	int error; /* TRACE_ERROR_* of a part that could not be read; 0: none */
};

static void step(struct gather *g)
{
	if (!(++g->done & 0x3ff))
		progress_draw(g->progress, g->done, g->total);
}

/* ---- one handshake ----------------------------------------------------------- */

static void diagnose_overwritten(struct subject *subject)
{
	struct verdict *verdict = &subject->verdicts[0];

	facts_settle(&subject->facts);
	*verdict = (struct verdict){.cause = CAUSE_NONE, .fault = FAULT_NONE, .advice = ""};
	subject->verdict_count = 1;
	if (subject->h.outcome == TLSTALL_OUTCOME_OK)
		return;
	verdict->cause = CAUSE_UNKNOWN;
	verdict->fault = FAULT_UNKNOWN;
	verdict->advice = "record with a larger TLSTALL_SIZE";
	verdict->evidence_count = 1;
	snprintf(verdict->evidence[0], sizeof(verdict->evidence[0]), "%s", OVERWRITTEN_EVIDENCE);
}

bool gather_look(struct trace *trace, const struct tlstall_handshake *h, struct kernel_view *out)
{
	bool over = h->end && !h->enter; /* the first read after it counts as part of it */
	struct looker looker = {0};

	if (over || !trace_alive(trace, h->process))
		return kernel_recall(trace, h, out);
	look_at(&looker, trace_pid_here(trace, h->process), h, trace_horizon(trace, h->process),
		out);
	looker_free(&looker);
	return true;
}

/* Like subject_make(), with the neighbors known. */
static void make_subject(struct gather *g, const struct tlstall_handshake *h, bool overwritten)
{
	struct subject *subject = g->subject;
	struct kernel_view view;
	bool looked = gather_look(g->trace, h, &view);

	subject_look(g->trace, h, looked ? &view : NULL, subject);
	if (g->neighbors)
		neighbors_add(g->neighbors, h, &subject->facts);
	if (overwritten)
		diagnose_overwritten(subject);
	else
		subject_judge(subject);
}

static uint32_t peer_id(struct gather *g, const struct tlstall_handshake *h)
{
	struct tlstall_address peer = h->peer;
	char buffer[WORD_SIZE], host[WORD_SIZE];
	const char *text;
	size_t size;

	/* behind the program's own BIO, only the name may be known */
	if (!peer.family)
		return strings_any(&g->report->strings, h->sni);
	/* clients' ports are effectively random */
	if (h->role == TLSTALL_ROLE_SERVER)
		peer.port = 0;
	text = word_address(&peer, buffer);
	size = strlen(text);
	if (peer.port || size <= 2 || strcmp(text + size - 2, ":0"))
		return strings_any(&g->report->strings, text);
	snprintf(host, sizeof(host), "%.*s", (int)size - 2, text);
	return strings_any(&g->report->strings, host);
}

static void set_code(struct gather *g, const struct tlstall_handshake *h, struct report_row *row)
{
	if (row->flags & ROW_OVERWRITTEN) {
		row->path = row->site = strings_id(&g->report->strings, "(details overwritten)");
		return;
	}
	if (!(row->flags & ROW_TROUBLED) && !(g->sink && g->sink->codes))
		return;
	row->code = code_of(&g->codes, h->stack_fail ? h->stack_fail : h->stack_first);
	row->path = code_path(&g->codes, row->code);
	row->site = code_site(&g->codes, row->code);
}

static void fill_row(struct gather *g, struct report_row *row, uint32_t slot, bool overwritten)
{
	const struct subject *subject = g->subject;
	const struct tlstall_handshake *h = &subject->h;
	const struct verdict *verdict = &subject->verdicts[0];

	*row = (struct report_row){
		.start_ns = trace_start_ns(g->trace, h),
		.duration_ns = subject->facts.age_ns,
		.number = h->number,
		.source = g->source,
		.slot = slot,
		.peer = peer_id(g, h),
		.cipher = strings_any(&g->report->strings, trace_string(g->trace, h->cipher)),
		.retries = h->retries,
		.others = subject->facts.others,
		.version = h->version,
		.outcome = h->outcome & 3,
		.cause = (uint8_t)verdict->cause,
		.fault = (uint8_t)verdict->fault,
		.confidence = (uint8_t)verdict->confidence,
		.flags = (uint8_t)((h->flags & TLSTALL_HS_RESUMED ? ROW_RESUMED : 0) |
				   (subject_is_bad(subject) ? ROW_TROUBLED : 0) |
				   (overwritten ? ROW_OVERWRITTEN : 0)),
	};
	set_code(g, h, row);
}

static int add_handshake(struct gather *g, const struct tlstall_handshake *h, uint32_t slot,
			 bool overwritten)
{
	struct report_row *row = report_add(g->report);
	struct gathered gathered = {.row = row, .subject = g->subject, .codes = &g->codes};
	struct gathered_call unpacked[TLSTALL_PACKED];

	if (!row)
		return -1;
	make_subject(g, h, overwritten);
	fill_row(g, row, slot, overwritten);
	g->added++;
	g->overwritten += overwritten;
	if (!g->sink)
		return 0;
	if (g->sink->calls && (h->flags & TLSTALL_HS_COMPACT)) {
		gathered.call_count = calls_unpack(h, unpacked);
		gathered.calls = unpacked;
	} else {
		gathered.calls = calls_of(&g->calls, (uint32_t)h->number, &gathered.call_count);
	}
	return g->sink->handshake(g->sink->context, &gathered);
}

/* 0: not known. Older formats may have any value there. */
static uint64_t start_of(const struct tlstall_event *event)
{
	uint64_t ns = (uint64_t)event->start_high << 32 | event->start_low;

	return ns == UINT64_MAX ? 0 : ns;
}

/* Rebuilds as much of the handshake as its END event has. */
static void restore(const struct tlstall_event *event, struct tlstall_handshake *h)
{
	uint64_t end = trace_event_end(event);

	*h = (struct tlstall_handshake){
		.number = event->handshake,
		.status = TLSTALL_SLOT_DONE,
		.ssl = event->ssl,
		.start = event->ticks,
		.start_realtime_ns = start_of(event),
		.end = end ? end : 1,
		.leave = end,
		.progress = end,
		.calls = event->retry + 1,
		.retries = event->retry,
		.last_ret = event->ret == TLSTALL_OUTCOME_OK ? 1 : -1,
		.ossl_error = event->ossl_error,
		.process = event->process,
		.tid = event->tid,
		.outcome = (uint8_t)event->ret & 3,
		.role = event->flags & TLSTALL_EV_SERVER   ? TLSTALL_ROLE_SERVER
			: event->flags & TLSTALL_EV_CLIENT ? TLSTALL_ROLE_CLIENT
							   : TLSTALL_ROLE_UNKNOWN,
		.last_error = event->error,
		.last_function = event->function,
		.state = event->state,
		.failed_state = event->state,
		.read = {.fd = -1, .blocking = 2},
		.write = {.fd = -1, .blocking = 2},
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
	};
}

/* ---- walks ---------------------------------------------------------------------- */

static bool has_slot(const struct gather *g, const struct tlstall_event *event)
{
	return event->slot < trace_slot_count(g->trace) &&
	       g->numbers[event->slot] == event->handshake;
}

static int keep_end(struct gather *g, const struct tlstall_event *event)
{
	size_t count = g->end_count;

	/* grows at each power of two */
	if (!(count & (count - 1))) {
		struct tlstall_event *ends =
			realloc(g->ends, (count ? count * 2 : 1) * sizeof(*ends));

		if (!ends)
			return -1;
		g->ends = ends;
	}
	g->ends[g->end_count++] = *event;
	return 0;
}

static int take_event(struct gather *g, const struct tlstall_event *event)
{
	if (event->type == TLSTALL_EVENT_END)
		return keep_end(g, event);
	if (event->type == TLSTALL_EVENT_CALL && g->sink && g->sink->calls)
		return calls_add(&g->calls, event);
	return 0;
}

static int walk_events(struct gather *g)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	bool skipped = false;
	int result = trace_cursor_open(g->trace, &cursor);

	if (result != 0)
		return result == TRACE_ERROR_MEMORY ? -1 : 0;
	while (result >= 0) {
		result = trace_cursor_next(cursor, &event);
		if (result > 0) {
			/* a record that was never completed, or the end */
			if (skipped)
				break;
			trace_cursor_skip(cursor);
		}
		skipped = result > 0;
		if (result == 0 && take_event(g, &event) < 0)
			break;
		step(g);
	}
	if (result < 0)
		g->error = result;
	g->lost = trace_cursor_lost(cursor);
	trace_cursor_close(cursor);
	calls_sort(&g->calls);
	return result == 0 ? -1 : 0;
}

static int walk_handshakes(struct gather *g)
{
	unsigned slots = trace_slot_count(g->trace);
	struct tlstall_handshake h;

	g->numbers = calloc(slots + 1, sizeof(*g->numbers));
	if (!g->numbers)
		return -1;
	for (unsigned slot = 0; slot < slots; slot++, step(g)) {
		int result = trace_handshake(g->trace, slot, &h);

		if (result < 0)
			g->error = result;
		if (result)
			continue;
		g->numbers[slot] = (uint32_t)h.number;
		if (add_handshake(g, &h, slot, false) < 0)
			return -1;
	}
	for (size_t i = 0; i < g->end_count; i++) {
		if (has_slot(g, &g->ends[i]))
			continue;
		restore(&g->ends[i], &h);
		if (add_handshake(g, &h, TLSTALL_NO_SLOT, true) < 0)
			return -1;
	}
	return 0;
}

/* ---- what is missing --------------------------------------------------------------- */

static void note_lost_parts(struct gather *g)
{
	const struct tlstall_header *header = trace_header(g->trace);
	uint64_t damage = trace_damage(g->trace);

	if (damage)
		report_note(g->report,
			    "%s is damaged: read as far as possible, %llu part%s cut off or torn",
			    g->label, (unsigned long long)damage, word_s(damage));
	if (header->lost_memory)
		report_note(g->report,
			    "%s: %llu part%s of it could not be written: the disk was full", g->label,
			    (unsigned long long)header->lost_memory, word_s(header->lost_memory));
	if (header->lost_traces)
		report_note(g->report,
			    "%s: earlier traces of this process were lost: %llu, truncated or on a "
			    "full disk",
			    g->label, (unsigned long long)header->lost_traces);
}

static void note_losses(struct gather *g)
{
	const struct tlstall_header *header = trace_header(g->trace);
	const struct tlstall_lost *lost = &header->lost;
	struct report *report = g->report;
	uint64_t begun = trace_begun(g->trace);
	uint64_t missing = begun > g->added && !g->error ? begun - g->added : 0;

	note_lost_parts(g);
	report->lost.details += g->overwritten;
	report->lost.handshakes += missing;
	report->lost.crowded += lost->handshakes_without_slot;
	if (g->overwritten)
		report_note(report,
			    "%s: only the end of %llu handshake%s was kept; the details were "
			    "overwritten (a larger TLSTALL_SIZE keeps more)",
			    g->label, (unsigned long long)g->overwritten, word_s(g->overwritten));
	if (missing)
		report_note(report,
			    "%s: %llu of %llu handshake%s left nothing in the trace%s", g->label,
			    (unsigned long long)missing, (unsigned long long)begun, word_s(begun),
			    trace_damage(g->trace) ? "" : " (a larger TLSTALL_SIZE keeps more)");
	if (header->lost_bad_handshakes)
		report_note(report, "%s: of the overwritten handshakes, %llu failed or took long",
			    g->label, (unsigned long long)header->lost_bad_handshakes);
	if (lost->handshakes_without_slot)
		report_note(report,
			    "%s: %llu handshake%s began without room in the trace: too many were in "
			    "flight (a larger TLSTALL_SIZE has room for more)",
			    g->label, (unsigned long long)lost->handshakes_without_slot,
			    word_s(lost->handshakes_without_slot));
}

/* What else is less than it was, or less certain. */
static void note_gaps(struct gather *g)
{
	const struct tlstall_header *header = trace_header(g->trace);
	const struct tlstall_lost *lost = &header->lost;
	struct report *report = g->report;

	if (g->lost && g->sink && g->sink->calls)
		report_note(report, "%s: %llu call%s overwritten by later ones", g->label,
			    (unsigned long long)g->lost, word_s(g->lost));
	if (lost->foreign_calls)
		report_note(report,
			    "%s: %llu call%s on objects of an unknown libssl not examined", g->label,
			    (unsigned long long)lost->foreign_calls, word_s(lost->foreign_calls));
	if (lost->stacks || lost->strings || lost->modules || lost->processes)
		report_note(report, "%s: some names and stacks did not fit in the trace", g->label);
	if (header->clock_disturbed)
		report_note(report, "%s: the clock jumped %u time%s; some times may be wrong",
			    g->label, header->clock_disturbed, word_s(header->clock_disturbed));
}

/* ---- a trace --------------------------------------------------------------------------- */

static uint64_t ring_fill(const struct tlstall_header *header, unsigned section, uint64_t head)
{
	return head < header->section[section].count ? head : header->section[section].count;
}

static int walk(struct gather *g)
{
	const struct tlstall_header *header = trace_header(g->trace);

	g->total = (uint64_t)trace_slot_count(g->trace) +
		   ring_fill(header, TLSTALL_SECTION_OPENING, header->opening_head) +
		   ring_fill(header, TLSTALL_SECTION_REST, header->rest_head);
	if (trace_is_local(g->trace))
		trace_set_now(g->trace, trace_read_clock(g->trace));
	strings_any(&g->report->hosts, header->host);
	if (walk_events(g) < 0 || walk_handshakes(g) < 0)
		return -1;
	if (g->sink && g->sink->lost && g->lost)
		g->sink->lost(g->sink->context, g->lost);
	note_losses(g);
	note_gaps(g);
	return 0;
}

static int gather_open(struct gather *g, const char *path)
{
	int source = report_add_source(g->report, path, g->label);

	g->source = (uint32_t)source;
	g->error = neighbors_read(g->trace, &g->neighbors);
	g->subject = calloc(1, sizeof(*g->subject));
	code_reader_open(&g->codes, &g->report->codes, &g->report->strings, g->trace);
	return source < 0 || !g->subject ? -1 : 0;
}

static void gather_close(struct gather *g)
{
	code_reader_close(&g->codes);
	neighbors_free(g->neighbors);
	calls_free(&g->calls);
	free(g->subject);
	free(g->ends);
	free(g->numbers);
	trace_close(g->trace);
}

int gather_trace(struct report *report, const char *path, const char *label,
		 const struct report_sink *sink, struct progress *progress,
		 char message[GATHER_MESSAGE])
{
	struct gather g = {.report = report, .sink = sink, .progress = progress, .label = label};
	int result = trace_open_path(path, &g.trace);

	if (result != 0) {
		snprintf(message, GATHER_MESSAGE, "%s", trace_strerror(g.trace, result));
		return result == TRACE_ERROR_UNFINISHED ? 1 : -1;
	}
	result = gather_open(&g, path);
	if (result == 0)
		result = walk(&g);
	if (report->strings.failed || report->codes.stack_keys.failed ||
	    report->codes.frame_keys.failed || trace_starved(g.trace))
		result = -1;
	if (result < 0)
		snprintf(message, GATHER_MESSAGE, "out of memory");
	else if (g.error)
		snprintf(message, GATHER_MESSAGE, "%s", trace_strerror(g.trace, g.error));
	gather_close(&g);
	return g.error ? -1 : result;
}
