/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "report/gather.h"
#include "report/worst.h"
#include "symbols/symbols.h"
#include "text/print.h"
#include "view/paragraph.h"

/* As it was gathered: reading neighbors again would mean reading the whole trace. */
static void make_subject(struct trace *trace, const struct tlstall_handshake *h,
			 const struct report_row *row, struct subject *out)
{
	struct kernel_view view;
	bool looked = gather_look(trace, h, &view);

	subject_look(trace, h, looked ? &view : NULL, out);
	out->facts.others = row->others;
	subject_judge(out);
}

static int write_one(struct trace *trace, const struct tlstall_handshake *h,
		     const struct report_row *row, const struct text_options *options, FILE *out)
{
	struct subject *subject = calloc(1, sizeof(*subject));
	struct symbols *symbols;

	if (!subject)
		return -1;
	symbols = symbols_of_trace(trace);
	make_subject(trace, h, row, subject);
	paragraph_write(out, subject, symbols, options->color);
	symbols_free(symbols);
	free(subject);
	return trace_starved(trace) ? -1 : 0;
}

/*
 * Returns 1 if it has written it, 0 if the trace or the handshake is gone, or only its end was
 * recorded; -1: out of memory.
 */
static int write_row(const struct report *report, const struct report_row *row, bool first,
		     const struct text_options *options, FILE *out)
{
	const struct report_source *source = &report->sources[row->source];
	struct tlstall_handshake h;
	struct trace *trace;
	int result;

	if (row->slot == TLSTALL_NO_SLOT)
		return 0;
	result = trace_open_path(source->path, &trace);
	if (result)
		return result == TRACE_ERROR_MEMORY ? -1 : 0;
	result = trace_handshake(trace, row->slot, &h);
	if (result == 0 && h.number == row->number) {
		if (first)
			print(out, "\nThe worst of each group\n");
		print(out, "\n%s, handshake %llu\n", source->label,
		      (unsigned long long)row->number);
		result = write_one(trace, &h, row, options, out) < 0 ? -1 : 1;
	} else {
		result = result == TRACE_ERROR_MEMORY ? -1 : 0;
	}
	trace_close(trace);
	return result;
}

int worst_write(const struct report *report, const struct groups *trouble,
		const struct text_options *options, FILE *out)
{
	unsigned written = 0;
	int result = 0;

	for (size_t i = 0; result >= 0 && i < trouble->count && written < options->details; i++) {
		result = write_row(report, trouble->list[i].worst, !written, options, out);
		written += result > 0;
	}
	return result < 0 ? -1 : 0;
}
