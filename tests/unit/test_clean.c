/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes become text that is safe to show, and no information is lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "text/clean.h"

static void expect(const char *text, const char *expected)
{
	char out[256];

	assert_int_equal(clean_text(text, out, sizeof(out)), strlen(expected));
	assert_string_equal(out, expected);
}

static void test_good_text_stays(void **state)
{
	(void)state;
	expect("", "");
	expect("plain ~!\\", "plain ~!\\");
	expect("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	expect("\xc2\xa0|\xef\xbf\xbd|\xf3\xb0\x80\x80", "\xc2\xa0|\xef\xbf\xbd|\xf3\xb0\x80\x80");
	expect("\xd8\xa7\xd9\x84", "\xd8\xa7\xd9\x84"); /* Arabic letters are text */
}

static void test_controls(void **state)
{
	(void)state;
	expect("a\nb\tc\rd", "a\\nb\\tc\\rd");
	expect("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\a\\x1b[2J");
	expect("\x01\x1f\x7f", "\\x01\\x1f\\x7f");
	expect("\xc2\x80\xc2\x9b" "31m\xc2\x9f", "\\u0080\\u009b31m\\u009f");
	expect("\x9b" "31m", "\\x9b31m"); /* CSI of an 8-bit terminal */
}

static void test_what_turns_or_hides_text(void **state)
{
	(void)state;
	expect("\xe2\x80\xae" "moc", "\\u202emoc");
	expect("\xe2\x80\xaa\xe2\x81\xa6\xe2\x81\xa9", "\\u202a\\u2066\\u2069");
	expect("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f", "\\u061c\\u200e\\u200f");
	expect("\xe2\x80\xa8\xe2\x80\xa9", "\\u2028\\u2029");
	expect("a\xe2\x80\x8b" "b\xe2\x80\x8d\xef\xbb\xbf", "a\\u200bb\\u200d\\ufeff");
	expect("\xc2\xad\xe2\x81\xa0\xef\xb8\x8f", "\\u00ad\\u2060\\ufe0f");
	expect("\xf3\xa0\x81\xa1\xf0\x9d\x85\xb3", "\\U000e0061\\U0001d173"); /* a tag, a beam */
	expect("\xef\xb7\x90\xef\xbf\xbe\xf4\x8f\xbf\xbf", "\\ufdd0\\ufffe\\U0010ffff");
}

static void test_what_is_no_utf8(void **state)
{
	(void)state;
	expect("a\xff\xfe z", "a\\xff\\xfe z");
	expect("\xc3", "\\xc3");	    /* truncated */
	expect("\xe2\x80", "\\xe2\\x80");
	expect("\xc3(", "\\xc3(");
	expect("\xc0\xaf", "\\xc0\\xaf"); /* overlong */
	expect("\xc1\x9b", "\\xc1\\x9b");
	expect("\xe0\x80\xaf", "\\xe0\\x80\\xaf");
	expect("\xe0\x82\x9b", "\\xe0\\x82\\x9b");
	expect("\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf");
	expect("\xed\xa0\x80", "\\xed\\xa0\\x80");	     /* surrogate */
	expect("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); /* beyond Unicode */
	expect("\xf8\x88\x80\x80\x80", "\\xf8\\x88\\x80\\x80\\x80");
}

/* Text is cut between characters, and never within an escape. */
static void test_room(void **state)
{
	char out[8];

	(void)state;
	assert_int_equal(clean_text("0123456789", out, sizeof(out)), 7);
	assert_string_equal(out, "0123456");
	assert_int_equal(clean_text("012345\xc3\xa9", out, sizeof(out)), 6);
	assert_string_equal(out, "012345");
	assert_int_equal(clean_text("0123\x1b" "9", out, sizeof(out)), 4);
	assert_string_equal(out, "0123");
	assert_int_equal(clean_text("012\x1b", out, sizeof(out)), 7);
	assert_string_equal(out, "012\\x1b");
	out[0] = 'x';
	assert_int_equal(clean_text("any", out, 0), 0);
	assert_int_equal(out[0], 'x');
}

/* Clean text passes unchanged; all output is plain or well formed. */
static void test_every_pair_of_bytes(void **state)
{
	(void)state;
	for (unsigned a = 1; a < 256; a++) {
		for (unsigned b = 1; b < 256; b++) {
			const char text[] = {(char)a, (char)b, '\0'};
			char *once = clean_copy(text), *twice = clean_copy(once);

			assert_string_equal(once, twice);
			for (const char *at = once; *at; at++)
				assert_true((unsigned char)*at >= 0x20 && *at != 0x7f);
			assert_int_equal(clean_is_plain(text), a >= 0x20 && a < 0x7f && b >= 0x20 && b < 0x7f);
			free(once);
			free(twice);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_text_stays),
		cmocka_unit_test(test_controls),
		cmocka_unit_test(test_what_turns_or_hides_text),
		cmocka_unit_test(test_what_is_no_utf8),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_every_pair_of_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
