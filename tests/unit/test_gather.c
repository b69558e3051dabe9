/* SPDX-License-Identifier: Apache-2.0 */
/* What the report of a trace says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/tables.h"

/* What the report of one trace says. */
static char *text_of(struct report *report)
{
	const struct text_options options = {.details = 5};
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(text_write(report, &options, out), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

/* Its file was removed meanwhile, or somebody else has its slot. */
static void test_no_heading_without_the_worst(void **state)
{
	struct report report = {0};
	char *text;

	(void)state;
	report_add(&report)->flags = ROW_TROUBLED;
	assert_int_equal(report_add_source(&report, "/nonexistent/trace", "trace"), 0);
	text = text_of(&report);
	assert_non_null(strstr(text, "What failed or stalled"));
	assert_null(strstr(text, "The worst of each group"));
	free(text);
	report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_heading_without_the_worst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
