/* SPDX-License-Identifier: Apache-2.0 */
/* What the report of a trace says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "report/gather.h"
#include "report/tables.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

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

/* The report of a trace in which everything that can be missing is missing so many times. */
static char *text_of_losses(const char *directory, unsigned times)
{
	const char *path = scratch_path(directory, "trace");
	char message[GATHER_MESSAGE];
	struct report report = {0};
	struct progress progress = {0};
	struct build b;
	char *text;

	build_trace(&b, NULL);
	for (unsigned i = 0; i < times; i++) {
		struct tlstall_handshake *h = build_handshake(&b, 0x5000 + i, BUILD_MS);

		build_call(&b, h, "SSL_connect", BUILD_MS, BUILD_US, 1, BUILD_NONE);
		build_end(&b, h, 2 * BUILD_MS, TLSTALL_OUTCOME_OK);
		*h = (struct tlstall_handshake){0};
	}
	b.header->handshakes += times;
	b.header->lost_memory = b.header->lost_bad_handshakes = b.header->clock_disturbed = times;
	b.header->lost.handshakes_without_slot = b.header->lost.foreign_calls = times;
	assert_int_equal(build_write(&b, path), 0);
	assert_int_equal(gather_trace(&report, path, "it", NULL, &progress, message), 0);
	text = text_of(&report);
	report_free(&report);
	build_free(&b);
	return text;
}

static void test_what_is_missing(void **state)
{
	char *one = text_of_losses(*state, 1), *two = text_of_losses(*state, 2);
	static const char *const of_one[] = {
		"; 1 more overwritten; 1 began when there was no room; only the end of 1 handshake is kept\n",
		"note: it: 1 part of it could not be written: the disk was full\n",
		"note: it: only the end of 1 handshake was kept; the details were overwritten",
		"note: it: 1 of 2 handshakes left nothing in the trace",
		"note: it: of the overwritten handshakes, 1 failed or took long\n",
		"note: it: 1 handshake began without room in the trace",
		"note: it: 1 call on objects of an unknown libssl not examined\n",
		"note: it: the clock jumped 1 time;",
	};

	for (size_t i = 0; i < sizeof(of_one) / sizeof(*of_one); i++)
		if (!strstr(one, of_one[i]))
			fail_msg("not said: %s\n%s", of_one[i], one);
	assert_non_null(strstr(two, "only the end of 2 handshakes is kept"));
	assert_non_null(strstr(two, "2 parts of it could not be written"));
	assert_non_null(strstr(two, "the clock jumped 2 times;"));
	free(one);
	free(two);
}

/* A path may be longer than all else that a report keeps. */
static void test_a_note_on_a_long_path(void **state)
{
	struct report report = {0};
	char path[4000], *text;

	(void)state;
	memset(path, 'd', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	report_note(&report, "%s: one", path);
	report_note(&report, "%s: two\n", path);
	text = text_of(&report);
	assert_non_null(strstr(text, "d: one\nnote: "));
	assert_non_null(strstr(text, "d: two\\n\n"));
	free(text);
	report_free(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_heading_without_the_worst),
		scratch_unit_test(test_what_is_missing),
		cmocka_unit_test(test_a_note_on_a_long_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
