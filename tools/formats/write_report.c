/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/write_report.h"

#include <stdlib.h>

#include "formats/destination.h"
#include "message.h"
#include "view/record.h"

struct writing {
	const struct format *format;
	const struct format_options *options;
	const char *path;
	struct destination to;
	void *context; /* of the format */
	struct json_line record;
	struct report report;
	struct report_sink sink;
};

/* ---- records: each handshake as it is read ------------------------------------------------- */

/* A stack's frames were named once, for all traces that have it. */
static void set_stack(struct writing *w, uint32_t code)
{
	const struct code *frames = &w->report.codes.list[code];

	if (!code)
		return;
	member_array(&w->record, "stack");
	for (uint32_t i = 0; i < frames->count; i++)
		member_text(&w->record, NULL,
			    strings_text(&w->report.strings, frames->frames[i]));
	member_end(&w->record);
}

static int put_handshake(void *context, const struct gathered *gathered)
{
	struct writing *w = context;

	record_handshake(&w->record, gathered->subject);
	set_stack(w, gathered->row->code);
	w->format->records->put(w->context, &w->record);
	return w->record.failed ? -1 : 0;
}

static void put_lost(void *context, uint64_t events)
{
	struct writing *w = context;

	record_lost(&w->record, events);
	w->format->records->put(w->context, &w->record);
}

static int write_records(struct writing *w, const struct inputs *inputs)
{
	int status = destination_open(&w->to, w->path);

	if (status)
		return status;
	w->sink = (struct report_sink){put_handshake, put_lost, w, false, true};
	w->context = w->format->records->begin(w->to.out);
	if (w->context) {
		status = read_inputs(&w->report, inputs, &w->sink);
		if (w->format->records->end(w->context) && !status)
			status = fail("out of memory");
		json_line_free(&w->record);
	} else {
		status = fail("out of memory");
	}
	for (uint32_t i = 1; i < w->report.notes.count; i++)
		complain("%s", strings_text(&w->report.notes, i));
	return destination_close(&w->to, 0) ? EXIT_FAILURE : status;
}

/* ---- all of it at the end ------------------------------------------------------------------ */

static int write_whole(struct writing *w, const struct inputs *inputs)
{
	const struct format_report *ops = w->format->report;
	int status, result;

	if (ops->begin && !(w->context = ops->begin(&w->report, &w->sink)))
		return fail("out of memory");
	status = read_inputs(&w->report, inputs, ops->begin ? &w->sink : NULL);
	if ((w->report.source_count || w->report.notes.count) &&
	    destination_open(&w->to, w->path) == 0) {
		result = ops->write(w->context, &w->report, w->options, w->to.out);
		status = destination_close(&w->to, result) ? EXIT_FAILURE : status;
	} else {
		status = EXIT_FAILURE;
	}
	if (ops->end)
		ops->end(w->context);
	return status;
}

int format_report(const struct format *format, const struct format_options *options,
		  const struct inputs *inputs, const char *path)
{
	struct writing w = {
		.format = format, .options = options, .path = path, .to.what = "report"};
	int status = format->records ? write_records(&w, inputs) : write_whole(&w, inputs);
	report_free(&w.report);
	return status;
}
