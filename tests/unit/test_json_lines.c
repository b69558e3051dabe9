/* SPDX-License-Identifier: Apache-2.0 */
/* Records as JSON lines, whatever their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "run/json_lines.h"

/* More than the block that values are taken from. */
#define LONG (600u << 10)

static json_t *record(const char *text)
{
	return json_pack("{s:s, s:[i, i]}", "text", text, "numbers", 1, 2);
}

static void expect_line(FILE *in, const char *text)
{
	static char line[2 * LONG], expected[2 * LONG];

	snprintf(expected, sizeof(expected), "{\"text\":\"%s\",\"numbers\":[1,2]}\n", text);
	assert_non_null(fgets(line, sizeof(line), in));
	assert_string_equal(line, expected);
}

static void short_and_long(void **state)
{
	FILE *file = tmpfile();
	char *text = malloc(LONG);

	(void)state;
	assert_non_null(file);
	assert_non_null(text);
	memset(text, 'x', LONG - 1);
	text[LONG - 1] = '\0';
	json_lines_begin();
	json_lines_put(file, record("a"));
	json_lines_put(file, record(text));
	json_lines_put(file, NULL);
	for (int i = 0; i < 10000; i++)
		json_lines_put(file, record("b"));
	json_lines_end();
	rewind(file);
	expect_line(file, "a");
	expect_line(file, text);
	for (int i = 0; i < 10000; i++)
		expect_line(file, "b");
	assert_int_equal(fgetc(file), EOF);
	fclose(file);
	free(text);
}

/* What is made before and after is jansson's as ever. */
static void before_and_after(void **state)
{
	json_t *before = record("before"), *after;
	char *text;

	(void)state;
	json_lines_begin();
	json_lines_end();
	after = record("after");
	text = json_dumps(after, JSON_COMPACT);
	assert_string_equal(text, "{\"text\":\"after\",\"numbers\":[1,2]}");
	free(text);
	json_decref(before);
	json_decref(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_and_long),
		cmocka_unit_test(before_and_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
