/* SPDX-License-Identifier: Apache-2.0 */
/* Formats print like fprintf(), but no string in them can drive a terminal or forge a line. */
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "text/json.h"
#include "text/locale.h"
#include "text/print.h"
#include "text/table.h"

/* https://no-color.org: an empty NO_COLOR says nothing. */
static void test_colors(void **state)
{
	int leader = posix_openpt(O_RDWR | O_NOCTTY), follower;
	FILE *terminal, *file = tmpfile();

	(void)state;
	assert_int_equal(grantpt(leader) || unlockpt(leader), 0);
	follower = open(ptsname(leader), O_WRONLY | O_NOCTTY);
	terminal = fdopen(follower, "w");
	assert_non_null(terminal);
	unsetenv("NO_COLOR");
	assert_true(print_in_color(terminal));
	assert_false(print_in_color(file));
	setenv("NO_COLOR", "", 1);
	assert_true(print_in_color(terminal));
	setenv("NO_COLOR", "1", 1);
	assert_false(print_in_color(terminal));
	unsetenv("NO_COLOR");
	fclose(terminal);
	fclose(file);
	close(leader);
}

static char *printed;
static size_t printed_size;

#define EXPECT(expected, ...)                                                                      \
	do {                                                                                       \
		FILE *out = open_memstream(&printed, &printed_size);                               \
		print(out, __VA_ARGS__);                                                           \
		fclose(out);                                                                       \
		assert_string_equal(printed, expected);                                            \
		free(printed);                                                                     \
	} while (0)

static void test_numbers(void **state)
{
	(void)state;
	EXPECT("-1 4294967295 7", "%d %u %i", -1, 4294967295u, 7);
	EXPECT("-5 18446744073709551615 99", "%ld %" PRIu64 " %zu", -5l, UINT64_MAX, (size_t)99);
	EXPECT("-5 6", "%lld %llu", -5ll, 6ull);
	EXPECT("0xdeadbeef 0000BEEF", "0x%" PRIx64 " %08X", (uint64_t)0xdeadbeef, 0xbeef);
	EXPECT("     7.000042 ", "%6" PRIu64 ".%06" PRIu64 " ", (uint64_t)7, (uint64_t)42);
	EXPECT("12.35 %  1.5 |   7|", "%.2f %% %4.3g |%4d|", 12.345678, 1.5, 7);
	EXPECT("#3 |x  |", "#%-2u|%-*s|", 3u, 3, "x");
}

static void test_strings(void **state)
{
	char raw[3] = {'a', 'b', 'c'}; /* not terminated */

	(void)state;
	EXPECT("[abc]", "[%.3s]", raw);
	EXPECT("[   ab]", "[%5.2s]", raw);
	EXPECT("[\xc3\xa9  ]", "[%-3s]", "\xc3\xa9");
	EXPECT("x|y", "%c|%c", 'x', 'y');
	EXPECT("", "%s", "");
}

static void test_no_string_drives_a_terminal(void **state)
{
	char longer[2001], expected[8001] = "";

	(void)state;
	EXPECT("name=a\\nforged\n", "name=%s\n", "a\nforged");
	EXPECT("\\x1b[2J\\u009b31m \\u202e \\xff", "%s %s %s", "\x1b[2J\xc2\x9b" "31m", "\xe2\x80\xae", "\xff");
	EXPECT("[\\x1b ]", "[%-5s]", "\x1b");
	EXPECT("\\r", "%c", '\r');
	for (unsigned i = 0; i < 2000; i++)
		strcat(expected, "\\x01");
	memset(longer, 1, 2000);
	longer[2000] = '\0';
	EXPECT(expected, "%s", longer);
}

static void test_json(void **state)
{
	json_t *text = json_text("caf\xc3\xa9 \xc2\x9b\x9b\x7f\xe2\x80\xae");
	char *dumped = json_dumps(text, JSON_ENCODE_ANY);

	(void)state;
	assert_string_equal(dumped, "\"caf\xc3\xa9 \\\\u009b\\\\x9b\\\\x7f\\\\u202e\"");
	free(dumped);
	json_decref(text);
}

static void expect_cell(const char *expected, const char *content)
{
	static const struct table_column columns[] = {{"NAME", 0}};
	struct table table;
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	table_open(&table, out, false, columns, 1);
	table_line(&table);
	table_cell(&table, 0, "%s!", content);
	assert_int_equal(table_close(&table, NULL), 0);
	fclose(out);
	assert_string_equal(text, expected);
	free(text);
}

static void test_table(void **state)
{
	(void)state;
	expect_cell("NAME\n\\x1b[7m\\u202e!\n", "\x1b[7m\xe2\x80\xae");
	/* libsmartcols must not loop on a character that the locale lacks */
	expect_cell("NAME\ncaf\\xc3\\xa9!\n", "caf\xc3\xa9");
}

static void test_table_in_utf8(void **state)
{
	(void)state;
	text_locale();
	if (!text_is_utf8())
		skip();
	expect_cell("NAME\ncaf\xc3\xa9!\n", "caf\xc3\xa9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_colors),
		cmocka_unit_test(test_numbers), cmocka_unit_test(test_strings),
		cmocka_unit_test(test_no_string_drives_a_terminal), cmocka_unit_test(test_json),
		cmocka_unit_test(test_table), cmocka_unit_test(test_table_in_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
