/* SPDX-License-Identifier: Apache-2.0 */
/* Every reason of OpenSSL 1.1.1 to 4.0 is classified deliberately. Runs at the top of the tree. */
#include <stdlib.h>

#include "diagnosis/reasons.h"
#include "make_facts.h"

#define MAX_LINES 2000

struct line {
	char library[16], text[160];
};

/* Lines "library TAB text TAB ..."; comments begin with '#'. */
static unsigned read_lines(const char *path, struct line *lines)
{
	FILE *file = fopen(path, "r");
	char buffer[400];
	unsigned count = 0;

	assert_non_null(file);
	while (fgets(buffer, sizeof(buffer), file)) {
		if (buffer[0] == '#' || sscanf(buffer, "%15[^\t]\t%159[^\t\n]",
					       lines[count].library, lines[count].text) != 2)
			continue;
		count++;
		assert_true(count < MAX_LINES);
	}
	fclose(file);
	return count;
}

static bool has_text(const struct line *lines, unsigned count, const char *text,
		     const char *library)
{
	for (unsigned i = 0; i < count; i++) {
		if (!strcmp(lines[i].text, text) &&
		    (!library || !strcmp(lines[i].library, library)))
			return true;
	}
	return false;
}

static const char *const rows[] = {
#define REASON(text, cause, weight, advice) text,
#include "diagnosis/reasons.def"
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static unsigned rows_with(const char *text)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ROWS; i++)
		count += !strcmp(rows[i], text);
	return count;
}

static struct line all[MAX_LINES], unknown[MAX_LINES];
static unsigned all_count, unknown_count;

static int read_both(void **state)
{
	(void)state;
	all_count = read_lines("tests/reasons/reasons.txt", all);
	unknown_count = read_lines("tests/reasons/unknown.txt", unknown);
	return all_count > 1000 && unknown_count ? 0 : -1;
}

/* Each has a row, or a line among the unknown ones, or the alert that it reports. */
static void test_each_is_classified(void **state)
{
	unsigned missing = 0;

	(void)state;
	for (unsigned i = 0; i < all_count; i++) {
		const char *text = all[i].text;
		unsigned ways = rows_with(text) +
				has_text(unknown, unknown_count, text, all[i].library) +
				(!strcmp(all[i].library, "ssl") && alert_in_reason(text) >= 0);

		if (ways != 1) {
			print_message("%s: \"%s\" is classified %u times\n", all[i].library, text,
				      ways);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
}

static void test_nothing_is_needless(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ROWS; i++) {
		if (!has_text(all, all_count, rows[i], NULL))
			fail_msg("no OpenSSL has the reason \"%s\"", rows[i]);
	}
	for (unsigned i = 0; i < unknown_count; i++) {
		if (!has_text(all, all_count, unknown[i].text, unknown[i].library))
			fail_msg("no OpenSSL has the reason \"%s\" of %s", unknown[i].text,
				 unknown[i].library);
	}
}

/* A verdict is at most as sure as its row, and an unknown reason is shown. */
static void test_confidence(void **state)
{
	(void)state;
	for (unsigned i = 0; i < all_count; i++) {
		struct facts f = failed(SSL, all[i].text);
		struct verdict v = first_verdict(&f);
		struct meaning meaning = meaning_of_reason(all[i].text);

		if (v.cause == CAUSE_UNKNOWN) {
			assert_true(says(&v, all[i].text));
			assert_int_equal(v.confidence, CONFIDENCE_LOW);
		} else if (v.cause == meaning.cause && meaning.weight == HINTS) {
			assert_in_range(v.confidence, CONFIDENCE_LOW, CONFIDENCE_MEDIUM);
		}
	}
}

static void test_alerts_in_reasons(void **state)
{
	(void)state;
	assert_int_equal(alert_in_reason("sslv3 alert handshake failure"), 40);
	assert_int_equal(alert_in_reason("ssl/tls alert handshake failure"), 40);
	assert_int_equal(alert_in_reason("tls alert handshake failure"), 40);
	assert_int_equal(alert_in_reason("tlsv1 alert unknown ca"), 48);
	assert_int_equal(alert_in_reason("tlsv1 unrecognized name"), 112);
	assert_int_equal(alert_in_reason("tlsv13 alert certificate required"), 116);
	assert_int_equal(alert_in_reason("no shared cipher"), -1);
	assert_int_equal(alert_in_reason(NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_classified),
		cmocka_unit_test(test_nothing_is_needless),
		cmocka_unit_test(test_confidence),
		cmocka_unit_test(test_alerts_in_reasons),
	};

	return cmocka_run_group_tests(tests, read_both, NULL);
}
