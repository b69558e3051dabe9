/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/write_export.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "formats/destination.h"
#include "formats/write_report.h"
#include "message.h"

struct exporting {
	const struct format_export *ops;
	void *context;
	struct report report;
	int error; /* errno of the first failure; 0: none */
};

static int put_handshake(void *context, const struct gathered *gathered)
{
	struct exporting *e = context;
	const char *label = e->report.sources[gathered->row->source].label;

	if (!e->error && e->ops->handshake(e->context, gathered, label))
		e->error = errno ? errno : EIO;
	return 0;
}

static int write_all(struct exporting *e, const struct inputs *inputs)
{
	struct report_sink sink = {
		.handshake = put_handshake, .context = e, .calls = e->ops->calls};
	int status = read_inputs(&e->report, inputs, &sink);

	for (uint32_t i = 1; i < e->report.notes.count; i++)
		complain("%s", strings_text(&e->report.notes, i));
	return status;
}

/* For formats that create their file themselves. */
static int export_to_path(struct exporting *e, const struct inputs *inputs,
			  const struct export_target *target)
{
	const char *path = target->path;
	int status;

	e->context = e->ops->begin(target);
	if (!e->context)
		return fail("writing the export to %s failed: %s", path, strerror(errno));
	status = write_all(e, inputs);
	if (e->ops->end(e->context, !e->error) || e->error)
		return fail("writing the export to %s failed: %s", path,
			    strerror(e->error ? e->error : errno));
	return status;
}

static int export_to_stream(struct exporting *e, const struct inputs *inputs,
			    const struct export_target *target)
{
	struct export_target stream = *target;
	struct destination to = {.what = "export"};
	int status = destination_open(&to, target->path), result = -1;

	if (status)
		return status;
	stream.out = to.out;
	errno = ENOMEM;
	e->context = e->ops->begin(&stream);
	if (e->context) {
		status = write_all(e, inputs);
		result = e->ops->end(e->context, !e->error);
		errno = e->error ? e->error : errno;
	}
	return destination_close(&to, e->error ? -1 : result) ? EXIT_FAILURE : status;
}

int format_export(const struct format *format, const struct inputs *inputs,
		  const struct export_target *target)
{
	const struct format_options none = {0};
	struct exporting e = {.ops = format->export};
	int status;

	if (!format->export)
		return format_report(format, &none, inputs, target->path);
	status = format->export->needs_path ? export_to_path(&e, inputs, target)
					    : export_to_stream(&e, inputs, target);
	report_free(&e.report);
	return status;
}
