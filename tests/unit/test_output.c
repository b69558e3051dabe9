/* SPDX-License-Identifier: Apache-2.0 */
/* What `tlstall run` and `attach` print when somebody waits for their end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "formats/format.h"
#include "run/options.h"
#include "run/output.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

#include <cmocka.h>

/* Writes three calls, the last two when their time is over; `text` gets what was written. */
static void write_late(struct run_options *options, const char *path, char *text, size_t size)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_CALL, .ssl = 0x5000, .ret = -1, .error = BUILD_WANT_READ};
	struct build b;
	struct followed from = {.pid = 1};
	struct output output;
	FILE *file;

	build_trace(&b, NULL);
	event.function = build_function(&b, "SSL_connect");
	from.trace = build_open(&b);
	options->output = path;
	assert_int_equal(output_open(&output, options), 0);
	output.sink.call(&output, &from, &event, BUILD_EPOCH_NS);
	output_hurry(&output);
	if (output.until_ns)
		output.until_ns = 1;
	for (int i = 0; i < 2; i++)
		output.sink.call(&output, &from, &event, BUILD_EPOCH_NS + BUILD_MS);
	output_end(&output, 1);
	assert_int_equal(output_close(&output), 0);
	assert_non_null(file = fopen(path, "r"));
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
	trace_close(from.trace);
	build_free(&b);
}

static unsigned count(const char *text, const char *word)
{
	unsigned found = 0;

	while ((text = strstr(text, word))) {
		found++;
		text++;
	}
	return found;
}

static void test_late_lines_are_counted(void **state)
{
	const char *path = scratch_path(*state, "lines");
	struct run_options options = {.format = &format_text};
	char text[4096];

	write_late(&options, path, text, sizeof(text));
	assert_int_equal(count(text, "SSL_connect("), 1);
	assert_non_null(strstr(text, "tlstall: 2 later calls are not shown, so that it ends soon "
				     "(-d DIR keeps a trace)\n"));
	options.directory = *state;
	write_late(&options, path, text, sizeof(text));
	assert_non_null(strstr(text, "2 later calls are not shown, so that it ends soon "
				     "(the trace in "));
	/* programs get all of it */
	options.format = &format_jsonl;
	write_late(&options, path, text, sizeof(text));
	assert_int_equal(count(text, "\"SSL_connect\""), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_unit_test(test_late_lines_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
