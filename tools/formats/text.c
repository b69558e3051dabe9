/* SPDX-License-Identifier: Apache-2.0 */
/* Text and tables: each command has its own; this is the report's. */
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "formats/format.h"
#include "report/tables.h"

static bool color_wanted(bool terminal)
{
	const char *no_color = getenv("NO_COLOR");

	return terminal && !(no_color && *no_color);
}

static int write_report(void *context, const struct report *report,
			const struct format_options *options, FILE *out)
{
	bool terminal = isatty(fileno(out));
	const struct text_options text = {.terminal = terminal,
					  .color = color_wanted(terminal),
					  .details = options->details};

	(void)context;
	return text_write(report, &text, out);
}

const struct format format_text = {
	.name = "text",
	.kind = FORMAT_WORDS,
	.report = &(const struct format_report){.write = write_report},
};
