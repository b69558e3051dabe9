/* SPDX-License-Identifier: Apache-2.0 */
/* A process reads its settings once, so each case has its own child. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "settings.h"
#include "tlstall/environment.h"
#include "tlstall/trace.h"

static struct settings *read_back;

/* The settings of a process with only that variable; NULL: with none. */
static const struct settings *with(const char *name, const char *value)
{
	int status;
	pid_t child = fork();

	if (!child) {
		clearenv();
		if (name)
			setenv(name, value, 1);
		settings_read();
		*read_back = settings;
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	return read_back;
}

static void has_defaults(void **state)
{
	const struct settings *s = with(NULL, NULL);
	char expected[64];

	(void)state;
	snprintf(expected, sizeof(expected), "/tmp/tlstall-%u", (unsigned)getuid());
	assert_string_equal(s->directory, expected);
	assert_true(s->directory_is_default);
	assert_int_equal(s->mode, TLSTALL_MODE_ALL);
	assert_int_equal(s->size, 2 << 20);
	assert_true(s->stacks && s->socket);
	assert_int_equal(s->reach, REACH_DLSYM | REACH_GOT | REACH_INSIDE);
	assert_int_equal(s->bad_settings, 0);
}

static void takes_the_user_s_directory(void **state)
{
	const struct settings *s = with("XDG_RUNTIME_DIR", "/run/user/7");

	(void)state;
	assert_string_equal(s->directory, "/run/user/7/tlstall");
	assert_true(s->directory_is_default);
	s = with("XDG_RUNTIME_DIR", "relative");
	assert_true(!strncmp(s->directory, "/tmp/tlstall-", 13));
	s = with("TLSTALL_DIR", "/var/log/traces");
	assert_string_equal(s->directory, "/var/log/traces");
	assert_false(s->directory_is_default);
}

static void takes_no_directory_that_is_relative_or_too_long(void **state)
{
	char name[PATH_MAX + 2];
	const struct settings *s = with("TLSTALL_DIR", "traces");

	(void)state;
	assert_int_equal(s->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_DIR));
	assert_true(s->directory_is_default);
	memset(name, 'x', sizeof(name));
	name[0] = '/';
	name[sizeof(name) - 1] = '\0';
	s = with("TLSTALL_DIR", name);
	assert_int_equal(s->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_DIR));
}

static void reads_modes(void **state)
{
	(void)state;
	assert_int_equal(with("TLSTALL_MODE", "off")->mode, TLSTALL_MODE_OFF);
	assert_int_equal(with("TLSTALL_MODE", "handshake")->mode, TLSTALL_MODE_HANDSHAKE);
	assert_int_equal(with("TLSTALL_MODE", "all")->mode, TLSTALL_MODE_ALL);
	assert_int_equal(with("TLSTALL_MODE", "ALL")->mode, TLSTALL_MODE_ALL);
	assert_int_equal(read_back->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_MODE));
}

static void reads_sizes(void **state)
{
	(void)state;
	assert_int_equal(with("TLSTALL_SIZE", "262144")->size, 262144);
	assert_int_equal(with("TLSTALL_SIZE", "256K")->size, 256 << 10);
	assert_int_equal(with("TLSTALL_SIZE", "64M")->size, 64 << 20);
	assert_int_equal(with("TLSTALL_SIZE", "4G")->size, 4ull << 30);
	assert_int_equal(read_back->bad_settings, 0);
}

static void refuses_sizes(void **state)
{
	static const char *const bad[] = {"",
					  "255K",
					  "5G",
					  "1k",
					  "1MB",
					  "-1M",
					  "M",
					  "1.5M",
					  " ",
					  "0x1M",
					  "1M ",
					  "99999999999999999999",
					  "18014398509481985K"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const struct settings *s = with("TLSTALL_SIZE", bad[i]);

		assert_int_equal(s->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_SIZE));
		assert_int_equal(s->size, 2 << 20);
	}
}

static void reads_switches(void **state)
{
	(void)state;
	assert_false(with("TLSTALL_STACKS", "off")->stacks);
	assert_true(with("TLSTALL_STACKS", "on")->stacks);
	assert_true(with("TLSTALL_STACKS", "1")->stacks);
	assert_int_equal(read_back->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_STACKS));
	assert_false(with("TLSTALL_SOCKET", "off")->socket);
}

static void reads_what_is_private(void **state)
{
	(void)state;
	assert_int_equal(with("TLSTALL_PRIVACY", "none")->privacy, 0);
	assert_int_equal(with("TLSTALL_PRIVACY", "sni")->privacy, TLSTALL_PRIVACY_SNI);
	assert_int_equal(with("TLSTALL_PRIVACY", "stacks,peer,sni")->privacy, 7);
	assert_int_equal(with("TLSTALL_PRIVACY", "stacks,peer,sni")->bad_settings, 0);
	assert_int_equal(with("TLSTALL_PRIVACY", "peers,sni")->privacy, TLSTALL_PRIVACY_SNI);
	assert_int_equal(with("TLSTALL_PRIVACY", "peers,sni")->bad_settings,
			 TLSTALL_BAD_SETTING(TLSTALL_SETTING_PRIVACY));
	assert_int_equal(with("TLSTALL_PRIVACY", ",,")->privacy, 0);
}

static void reads_limits(void **state)
{
	(void)state;
	assert_int_equal(with(NULL, NULL)->limit, 1 << 30);
	assert_int_equal(with("TLSTALL_LIMIT", "0")->limit, 0);
	assert_int_equal(with("TLSTALL_LIMIT", "20M")->limit, 20 << 20);
	assert_int_equal(with("TLSTALL_LIMIT", "1024G")->limit, 1ull << 40);
	assert_int_equal(with("TLSTALL_LIMIT", "1025G")->limit, 1 << 30);
	assert_int_equal(with("TLSTALL_LIMIT", "10")->limit, 1 << 30);
	assert_true(with("TLSTALL_REMOTE", "on")->remote);
	assert_false(with(NULL, NULL)->remote);
}

static void reads_ways_to_reach(void **state)
{
	static const char *const wrong[] = {"magic", "", "dlsym,", ",got", "none,got", "dlsymgot"};

	(void)state;
	assert_int_equal(with("TLSTALL_REACH", "none")->reach, 0);
	assert_int_equal(with("TLSTALL_REACH", "dlsym")->reach, REACH_DLSYM);
	assert_int_equal(with("TLSTALL_REACH", "got")->reach, REACH_GOT);
	assert_int_equal(with("TLSTALL_REACH", "dlsym,got")->reach, REACH_DLSYM | REACH_GOT);
	assert_int_equal(with("TLSTALL_REACH", "inside")->reach, REACH_INSIDE);
	assert_int_equal(with("TLSTALL_REACH", "inside,dlsym")->reach, REACH_INSIDE | REACH_DLSYM);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(with("TLSTALL_REACH", wrong[i])->reach,
				 REACH_DLSYM | REACH_GOT | REACH_INSIDE);
		assert_int_equal(read_back->bad_settings,
				 TLSTALL_BAD_SETTING(TLSTALL_SETTING_REACH));
	}
	with("TLSTALL_REACH", "magic");
	assert_int_equal(read_back->bad_settings, TLSTALL_BAD_SETTING(TLSTALL_SETTING_REACH));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(has_defaults),
		cmocka_unit_test(takes_the_user_s_directory),
		cmocka_unit_test(takes_no_directory_that_is_relative_or_too_long),
		cmocka_unit_test(reads_modes),
		cmocka_unit_test(reads_sizes),
		cmocka_unit_test(refuses_sizes),
		cmocka_unit_test(reads_switches),
		cmocka_unit_test(reads_what_is_private),
		cmocka_unit_test(reads_limits),
		cmocka_unit_test(reads_ways_to_reach),
	};

	read_back = mmap(NULL, sizeof(*read_back), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
