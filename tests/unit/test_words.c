/* SPDX-License-Identifier: Apache-2.0 */
/* Words for numbers: our own, and OpenSSL's for its numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>
#include <dlfcn.h>

#include "words/words.h"

static void test_durations(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} cases[] = {
		{0, "0 ns"},
		{999, "999 ns"},
		{1000, "1 us"},
		{412345, "412 us"},
		{999499, "999 us"},
		{999500, "1 ms"},
		{38800000, "38.8 ms"},
		{899000000, "899 ms"},
		{996000000, "0.996 s"},
		{999700000, "1 s"},
		{1250000000, "1.25 s"},
		{99400000000, "99.4 s"},
		{200000000000, "3 min 20 s"},
		{3599600000000, "1 h 0 min"},
		{UINT64_MAX, "5124095 h 34 min"},
	};
	char buffer[WORD_SIZE];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_string_equal(word_duration(cases[i].ns, buffer), cases[i].text);
}

static void test_unknown_numbers_are_shown(void **state)
{
	char buffer[WORD_SIZE];

	(void)state;
	assert_string_equal(word_alert(45, buffer), "certificate expired");
	assert_string_equal(word_alert(200, buffer), "#200");
	assert_string_equal(word_alert(11, buffer), "#11");
	assert_string_equal(word_verify(10, buffer), "certificate has expired");
	assert_string_equal(word_verify(-3, buffer), "#-3");
	assert_string_equal(word_verify(4000, buffer), "#4000");
	assert_string_equal(word_version(0x0304, buffer), "TLSv1.3");
	assert_string_equal(word_version(0xfefd, buffer), "DTLSv1.2");
	assert_string_equal(word_version(0, buffer), "");
	assert_string_equal(word_version(0x0399, buffer), "#921");
	assert_string_equal(word_error(2), "SSL_ERROR_WANT_READ");
	assert_string_equal(word_error(255), "SSL_ERROR_UNKNOWN");
	assert_string_equal(word_error_short(3), "WANT_WRITE");
	assert_string_equal(word_outcome(9), "unknown");
	assert_string_equal(word_role(9), "");
	assert_string_equal(word_bio_class(99), "unknown");
}

static void test_addresses(void **state)
{
	struct tlstall_address v6 = {.family = AF_INET6, .port = 443, .addr = {[15] = 1}};
	struct tlstall_address v4 = {.family = AF_INET, .port = 8443, .addr = {127, 0, 0, 1}};
	struct tlstall_address none = {0}, local = {.family = AF_UNIX};
	char buffer[WORD_SIZE];

	(void)state;
	assert_string_equal(word_address(&v4, buffer), "127.0.0.1:8443");
	assert_string_equal(word_address(&v6, buffer), "[::1]:443");
	assert_string_equal(word_address(&local, buffer), "unix");
	assert_string_equal(word_address(&none, buffer), "");
}

static void test_sizes(void **state)
{
	char buffer[WORD_SIZE];

	(void)state;
	assert_string_equal(word_size(0, buffer), "0 B");
	assert_string_equal(word_size(9999, buffer), "9999 B");
	assert_string_equal(word_size(24321, buffer), "24.3 kB");
	assert_string_equal(word_size(9999949, buffer), "9999.9 kB");
	assert_string_equal(word_size(9999950, buffer), "10.0 MB");
	assert_string_equal(word_size(12345678, buffer), "12.3 MB");
}

/* Alerts that the libssl of this machine can name have the same name here. */
static void test_alerts_are_spelled_as_by_openssl(void **state)
{
	void *libssl = dlopen("libssl.so.3", RTLD_NOW);
	const char *(*theirs)(int);
	char buffer[WORD_SIZE];
	int known = 0;

	(void)state;
	if (!libssl)
		skip();
	*(void **)&theirs = dlsym(libssl, "SSL_alert_desc_string_long");
	assert_non_null(theirs);
	for (int i = 0; i <= UINT8_MAX; i++) {
		/* 3.0 spells one with an underscore */
		if (i == 10 || !strcmp(theirs(i), "unknown"))
			continue;
		assert_string_equal(word_alert((uint8_t)i, buffer), theirs(i));
		known++;
	}
	assert_in_range(known, 25, UINT8_MAX);
	dlclose(libssl);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durations),
		cmocka_unit_test(test_unknown_numbers_are_shown),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_alerts_are_spelled_as_by_openssl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
