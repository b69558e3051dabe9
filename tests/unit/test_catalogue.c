/* SPDX-License-Identifier: Apache-2.0 */
/* The catalogue and its prose say the same. Runs at the top of the tree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cause_is_documented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
