/* SPDX-License-Identifier: Apache-2.0 */
/* One self-contained page for a browser. */
#include "formats/format.h"
#include "report/page.h"

static void *begin(struct report *report, struct report_sink *sink)
{
	struct page *page = page_new(report);

	if (page)
		*sink = page_sink(page);
	return page;
}

static int write_page(void *page, const struct report *report, const struct format_options *options,
		      FILE *out)
{
	(void)report;
	(void)options;
	return page_write(page, out);
}

static void end(void *page)
{
	page_free(page);
}

const struct format format_html = {
	.name = "html",
	.kind = FORMAT_PAGE,
	.report = &(const struct format_report){.begin = begin, .write = write_page, .end = end},
};
