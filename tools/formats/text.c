/* SPDX-License-Identifier: Apache-2.0 */
/* Text and tables: each command has its own; this is the report's. */
#include <unistd.h>

#include "formats/format.h"
#include "report/tables.h"
#include "text/print.h"

static int write_report(void *context, const struct report *report,
			const struct format_options *options, FILE *out)
{
	const struct text_options text = {.terminal = isatty(fileno(out)),
					  .color = print_in_color(out),
					  .details = options->details};

	(void)context;
	return text_write(report, &text, out);
}

const struct format format_text = {
	.name = "text",
	.kind = FORMAT_WORDS,
	.report = &(const struct format_report){.write = write_report},
};
