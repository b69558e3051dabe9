/* SPDX-License-Identifier: Apache-2.0 */
/* What counts as a supported OpenSSL: it has all required functions, and its version says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "members.h"

static const char *text;
static unsigned long number;

static const char *version(int what)
{
	(void)what;
	return text;
}

static unsigned long version_number(void)
{
	return number;
}

static void *any(void)
{
	return NULL;
}

static void fill(void *addresses[MEMBERS])
{
	for (size_t i = 0; i < MEMBERS; i++)
		addresses[i] = (void *)any;
	addresses[MEMBER_OpenSSL_version] = (void *)version;
	addresses[MEMBER_OpenSSL_version_num] = (void *)version_number;
}

static void test_makes(void **state)
{
	static const struct {
		const char *text;
		unsigned long number;
		bool foreign;
	} rows[] = {
		{"OpenSSL 1.1.1w  11 Sep 2023", 0x1010117ful, false},
		{"OpenSSL 3.5.9 29 Sep 2026", 0x30500090ul, false},
		{"OpenSSL 3.0.15+quic 3 Sep 2024", 0x300000f0ul, false},
		{"OpenSSL 1.1.0l  10 Sep 2019", 0x101000cful, true},
		{"OpenSSL 1.1.1 (compatible; AWS-LC 1.30.1)", 0x1010107ful, true},
		{"BoringSSL", 0x1010107ful, true},
		{"LibreSSL 3.8.2", 0x20000000ul, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct libssl lib = {.start = 0};
		void *addresses[MEMBERS];

		fill(addresses);
		text = rows[i].text;
		number = rows[i].number;
		members_take(&lib, addresses);
		if (lib.foreign != rows[i].foreign)
			fail_msg("%s", text);
	}
}

static void test_required(void **state)
{
	(void)state;
	text = "OpenSSL 3.5.9 29 Sep 2026";
	number = 0x30500090ul;
	for (size_t i = 0; i < MEMBERS; i++) {
		struct libssl lib = {.start = 0};
		void *addresses[MEMBERS], *taken;

		fill(addresses);
		addresses[i] = NULL;
		members_take(&lib, addresses);
		assert_int_equal(lib.foreign, members[i].required);
		memcpy(&taken, (char *)&lib + members[i].offset, sizeof(taken));
		/* no function jumps to address 0 */
		assert_true(!lib.foreign || taken);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_makes),
		cmocka_unit_test(test_required),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
