/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The catalog, its documentation and its tests list the same causes. Runs at the top of the tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>

#include "diagnosis/diagnosis.h"

static char *read_all(const char *path)
{
	FILE *file = fopen(path, "r");
	char *text = calloc(1, 1 << 20);

	assert_non_null(file);
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

static void test_every_cause_is_documented(void **state)
{
	char *text = read_all("doc/DIAGNOSIS.md"), heading[80], row[80];

	(void)state;
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		snprintf(heading, sizeof(heading), "\n### %s\n", cause_name((enum cause)cause));
		snprintf(row, sizeof(row), "\n| [%s](#", cause_name((enum cause)cause));
		if (!strstr(text, heading) || !strstr(text, row))
			fail_msg("doc/DIAGNOSIS.md has no section or no row of %s",
				 cause_name((enum cause)cause));
	}
	free(text);
}

/* Causes that no real program reproduces, and why. */
static const struct {
	enum cause cause;
	const char *why;
} not_reproduced[] = {
	{CAUSE_NONE, "tests/e2e/test_healthy.py asserts it of everything that goes well"},
	{CAUSE_UNKNOWN, "what cannot be told; the table counts where it is said"},
};

static bool is_exempt(enum cause cause)
{
	for (size_t i = 0; i < sizeof(not_reproduced) / sizeof(*not_reproduced); i++) {
		if (not_reproduced[i].cause == cause)
			return true;
	}
	return false;
}

/* The row of the confusion table comes from @reproduction("NAME", ...); see test_healthy.py. */
static void test_every_cause_is_reproduced(void **state)
{
	bool shown[CAUSE_COUNT] = {false};
	char first[80], second[80];
	glob_t tests;

	(void)state;
	assert_int_equal(glob("tests/e2e/test_*.py", 0, NULL, &tests), 0);
	for (size_t i = 0; i < tests.gl_pathc; i++) {
		char *text = read_all(tests.gl_pathv[i]);

		for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
			const char *name = cause_name((enum cause)cause);

			snprintf(first, sizeof(first), "reproduction(\"%s\"", name);
			snprintf(second, sizeof(second), "also=\"%s\"", name);
			shown[cause] |= strstr(text, first) || strstr(text, second);
		}
		free(text);
	}
	globfree(&tests);
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		if (!shown[cause] && !is_exempt((enum cause)cause))
			fail_msg("%s: no reproduction in tests/e2e, and not exempt from it",
				 cause_name((enum cause)cause));
	}
}

/* As a whole word, with or without "CAUSE_". */
static bool has_word(const char *text, const char *word)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789abcdefghijklmnopqrstuvwxyz";
	static const char prefix[] = "CAUSE_";
	const size_t length = sizeof(prefix) - 1;

	for (const char *at = text; (at = strstr(at, word)); at++) {
		const char *begin = at;

		if (begin - text >= (long)length && !strncmp(begin - length, prefix, length))
			begin -= length;
		if ((begin == text || !strchr(letters, begin[-1])) &&
		    (!at[strlen(word)] || !strchr(letters, at[strlen(word)])))
			return true;
	}
	return false;
}

static void test_every_cause_has_a_unit_test(void **state)
{
	bool tested[CAUSE_COUNT] = {false};
	glob_t tests;

	(void)state;
	assert_int_equal(glob("tests/unit/test_*.c", 0, NULL, &tests), 0);
	for (size_t i = 0; i < tests.gl_pathc; i++) {
		char *text = strstr(tests.gl_pathv[i], "test_catalog.c")
				     ? NULL
				     : read_all(tests.gl_pathv[i]);

		for (unsigned cause = 0; text && cause < CAUSE_COUNT; cause++)
			tested[cause] |= has_word(text, cause_name((enum cause)cause));
		free(text);
	}
	globfree(&tests);
	for (unsigned cause = 0; cause < CAUSE_COUNT; cause++) {
		if (!tested[cause])
			fail_msg("%s: no unit test names it", cause_name((enum cause)cause));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cause_is_documented),
		cmocka_unit_test(test_every_cause_is_reproduced),
		cmocka_unit_test(test_every_cause_has_a_unit_test),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
