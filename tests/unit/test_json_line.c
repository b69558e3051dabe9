/* SPDX-License-Identifier: Apache-2.0 */
/* JSON written member by member equals what jansson writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "formats/format.h"
#include "text/json.h"
#include "text/json_line.h"

#define LONG (600u << 10)

static void assert_same(struct json_line *line, json_t *expected)
{
	char *text = json_dumps(expected, JSON_COMPACT);

	json_line_end(line);
	assert_false(line->failed);
	assert_int_equal(line->length, strlen(text));
	assert_memory_equal(line->text, text, line->length);
	free(text);
	json_decref(expected);
}

static void test_values(void **state)
{
	struct json_line line = {0};

	(void)state;
	json_line_begin(&line);
	member_number(&line, "zero", 0);
	member_number(&line, "large", INT64_MAX);
	member_signed(&line, "least", INT64_MIN);
	member_signed(&line, "minus", -1);
	member_flag(&line, "yes", true);
	member_flag(&line, "no", false);
	member_text(&line, "none", NULL);
	assert_same(&line, json_pack("{s:i, s:I, s:I, s:i, s:b, s:b, s:s}", "zero", 0, "large",
				     (json_int_t)INT64_MAX, "least", (json_int_t)INT64_MIN,
				     "minus", -1, "yes", 1, "no", 0, "none", ""));
	json_line_begin(&line);
	member_number(&line, "most", UINT64_MAX);
	json_line_end(&line);
	assert_memory_equal(line.text, "{\"most\":18446744073709551615}", line.length);
	json_line_free(&line);
}

static void test_nesting(void **state)
{
	struct json_line line = {0};

	(void)state;
	json_line_begin(&line);
	member_array(&line, "empty");
	member_end(&line);
	member_object(&line, "object");
	member_array(&line, "list");
	member_number(&line, NULL, 1);
	member_object(&line, NULL);
	member_end(&line);
	member_text(&line, NULL, "[");
	member_array(&line, NULL);
	member_text(&line, NULL, "x");
	/* everything open is closed at the end */
	assert_same(&line, json_pack("{s:[], s:{s:[i, {}, s, [s]]}}", "empty", "object", "list", 1,
				     "[", "x"));
	json_line_begin(&line);
	assert_same(&line, json_object());
	json_line_free(&line);
}

/* All pairs of bytes within plain text: cleaned, escaped, or unchanged. */
static void test_texts(void **state)
{
	struct json_line line = {0};
	char text[8];

	(void)state;
	for (int first = 1; first < 256; first++) {
		for (int second = 0; second < 256; second++) {
			snprintf(text, sizeof(text), "a%c%cz", first, second);
			json_line_begin(&line);
			member_text(&line, "text", text);
			assert_same(&line, json_pack("{s:o}", "text", json_text(text)));
		}
	}
	json_line_begin(&line);
	member_text(&line, "text", "caf\xc3\xa9 \xe2\x80\xae \"\\\n");
	assert_same(&line, json_pack("{s:s}", "text", "caf\xc3\xa9 \\u202e \"\\\\n"));
	json_line_free(&line);
}

static void expect_line(FILE *in, const char *text)
{
	static char line[2 * LONG], expected[2 * LONG];

	snprintf(expected, sizeof(expected), "{\"text\":\"%s\"}\n", text);
	assert_non_null(fgets(line, sizeof(line), in));
	assert_string_equal(line, expected);
}

static void test_lines_of_any_length(void **state)
{
	const struct format_records *jsonl = format_jsonl.records;
	struct json_line line = {0};
	FILE *file = tmpfile();
	char *text = malloc(LONG);
	void *context;

	(void)state;
	assert_non_null(file);
	assert_non_null(text);
	memset(text, 'x', LONG - 1);
	text[LONG - 1] = '\0';
	assert_non_null(context = jsonl->begin(file));
	for (int i = 0; i < 3; i++) {
		json_line_begin(&line);
		member_text(&line, "text", i == 1 ? text : "a");
		jsonl->put(context, &line);
	}
	/* an incomplete line is dropped, without affecting the next */
	json_line_begin(&line);
	line.failed = true;
	jsonl->put(context, &line);
	json_line_begin(&line);
	member_text(&line, "text", "b");
	jsonl->put(context, &line);
	jsonl->end(context);
	rewind(file);
	expect_line(file, "a");
	expect_line(file, text);
	expect_line(file, "a");
	expect_line(file, "b");
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	json_line_free(&line);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_nesting),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_lines_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
