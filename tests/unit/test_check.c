/* SPDX-License-Identifier: Apache-2.0 */
/* What `tlstall check` answers about programs and processes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/check.h"
#include "unit/make_elf.h"
#include "unit/scratch.h"

static bool has(const struct check_findings *findings, int kind)
{
	for (size_t i = 0; i < findings->count; i++)
		if (findings->list[i].kind == kind)
			return true;
	return false;
}

static struct check_result ask(const char *directory, const char *program, int expected)
{
	struct check_options options = {.library_path = directory, .path = directory};
	struct check_result result;

	assert_int_equal(check_program(program, &options, &result), expected);
	assert_true(expected ? result.error != NULL : result.error == NULL);
	return result;
}

static void save_libssl(const char *directory, const char *soname)
{
	struct elf_file *file = make_library(soname);

	add_symbol(file, "SSL_connect", true);
	save_elf(directory, soname, file);
}

/* A text outside all tables. */
static void add_text(struct elf_file *file, const char *text)
{
	strcpy((char *)file->bytes + AT_HASH + 64, text);
}

static void test_direct(void **state)
{
	struct elf_file *file = make_program("libssl.so.3");
	struct check_result result;
	const char *libssl;
	char line[256];

	save_libssl(*state, "libssl.so.3");
	add_symbol(file, "SSL_connect", false);
	save_elf(*state, "program", file);
	result = ask(*state, "program", 0);
	libssl = scratch_path(*state, "libssl.so.3");
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_DIRECT));
	assert_string_equal(result.libssl, libssl);
	assert_string_equal(check_summary(&result, line, sizeof(line)),
			    "program: can be traced: calls SSL_connect of libssl.so.3");
	check_result_free(&result);
}

static void test_transitive(void **state)
{
	struct elf_file *file = make_library("libmiddle.so");
	struct check_result result;

	save_libssl(*state, "libssl.so.1.1");
	add_text_tag(file, DT_NEEDED, "libssl.so.1.1");
	add_symbol(file, "SSL_do_handshake", false);
	save_elf(*state, "libmiddle.so", file);
	save_elf(*state, "program", make_program("libmiddle.so"));
	result = ask(*state, "program", 0);
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_TRANSITIVE));
	assert_false(has(&result.ways, CHECK_WAY_DIRECT));
	check_result_free(&result);
}

/* Each row: what the program needs, calls and contains, and the answer. */
static void test_not_seen(void **state)
{
	static const struct {
		const char *needed, *soname, *import, *text;
		enum check_reason reason;
	} rows[] = {
		{NULL, NULL, NULL, "", CHECK_REASON_NO_TLS},
		{"libssl.so.1.0.2", "libssl.so.1.0.2", "SSL_connect", "", CHECK_REASON_OTHER_TLS},
		{"libssl.so.52", "libssl.so.52", "SSL_connect", "", CHECK_REASON_OTHER_TLS},
		{"libgnutls-openssl.so.27", "libgnutls-openssl.so.27", "SSL_connect", "",
		 CHECK_REASON_OTHER_TLS},
		{"libgnutls.so.30", "libgnutls.so.30", NULL, "", CHECK_REASON_OTHER_TLS},
		{NULL, NULL, NULL, "ssl/statem/statem.c", CHECK_REASON_STATIC_OPENSSL},
		{NULL, NULL, NULL, "boringssl/src/ssl", CHECK_REASON_OTHER_TLS},
		{NULL, NULL, NULL, "/rustls/src/conn.rs", CHECK_REASON_OTHER_TLS},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct elf_file *file = make_program(rows[i].needed);
		struct check_result result;

		if (rows[i].soname)
			save_libssl(*state, rows[i].soname);
		if (rows[i].import)
			add_symbol(file, rows[i].import, false);
		add_text(file, rows[i].text);
		save_elf(*state, "program", file);
		result = ask(*state, "program", 0);
		assert_false(result.seen);
		assert_true(has(&result.reasons, (int)rows[i].reason));
		assert_int_equal(result.reasons.count, 1);
		check_result_free(&result);
	}
}

static void test_dlsym(void **state)
{
	struct elf_file *file = make_program(NULL);
	struct check_result result;

	add_text(file, "SSL_connect");
	save_elf(*state, "program", file);
	result = ask(*state, "program", 0);
	assert_true(has(&result.reasons, CHECK_REASON_NO_TLS));
	check_result_free(&result);

	file = make_program(NULL);
	add_text(file, "SSL_connect");
	add_symbol(file, "dlsym", false);
	save_elf(*state, "program", file);
	result = ask(*state, "program", 0);
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_DLSYM));
	check_result_free(&result);
}

/* These keep the shim out, whatever the program does. */
static void test_obstacles(void **state)
{
	static const enum check_reason reasons[] = {CHECK_REASON_OTHER_LIBC, CHECK_REASON_ARCHITECTURE};

	save_libssl(*state, "libssl.so.3");
	for (size_t i = 0; i < 2; i++) {
		struct elf_file *file = make_elf(i == 0 ? "/system/bin/linker64" : LOADER);
		struct check_result result;

		add_text_tag(file, DT_NEEDED, "libssl.so.3");
		add_symbol(file, "SSL_connect", false);
		if (i == 1)
			ehdr_of(file)->e_machine = EM_RISCV;
		save_elf(*state, "program", file);
		result = ask(*state, "program", 0);
		assert_false(result.seen);
		assert_true(has(&result.reasons, (int)reasons[i]));
		check_result_free(&result);
	}
}

/* Its libc is the loader itself, by any name: no file is searched for. */
static void test_musl(void **state)
{
	struct elf_file *file = make_elf("/lib/ld-musl-x86_64.so.1");
	struct check_result result;

	save_libssl(*state, "libssl.so.3");
	add_text_tag(file, DT_NEEDED, "libc.so");
	add_text_tag(file, DT_NEEDED, "libc.musl-x86_64.so.1");
	add_text_tag(file, DT_NEEDED, "libssl.so.3");
	add_symbol(file, "SSL_connect", false);
	save_elf(*state, "program", file);
	result = ask(*state, "program", 0);
	assert_true(result.seen);
	assert_true(has(&result.ways, CHECK_WAY_DIRECT));
	assert_int_equal(result.notes.count, 1);
	check_result_free(&result);
}

static void test_errors(void **state)
{
	struct check_result result;
	char loop[256];

	result = ask(*state, "nosuch", -ENOENT);
	assert_non_null(strstr(result.error, "nosuch"));
	check_result_free(&result);
	result = ask(*state, "", -ENOENT);
	check_result_free(&result);
	result = ask(*state, "/", -EISDIR);
	check_result_free(&result);
	result = ask(*state, "/dev/null", -EINVAL);
	check_result_free(&result);
	scratch_save(*state, "empty", "", 0);
	result = ask(*state, "empty", -ENOEXEC);
	assert_non_null(strstr(result.error, "empty"));
	check_result_free(&result);
	scratch_save(*state, "text", "hello\n", 6);
	result = ask(*state, "text", -ENOEXEC);
	check_result_free(&result);
	scratch_save(*state, "cut", "\177ELF\2\1\1", 7);
	result = ask(*state, "cut", -EBADMSG);
	check_result_free(&result);
	save_elf(*state, "libx.so", make_library("libx.so"));
	result = ask(*state, "libx.so", -ENOEXEC);
	assert_non_null(strstr(result.error, "shared library"));
	check_result_free(&result);
	snprintf(loop, sizeof(loop), "#!%s\n", scratch_path(*state, "loop"));
	scratch_save(*state, "loop", loop, strlen(loop));
	result = ask(*state, "loop", -ELOOP);
	check_result_free(&result);
}

/* They are cleaned when they are printed. */
static void test_names_stay_as_they_are(void **state)
{
	struct check_result result;

	save_elf(*state, "program", make_program("lib\033[2Jx.so"));
	result = ask(*state, "program", 0);
	assert_int_equal(result.notes.count, 1);
	assert_non_null(strstr(result.notes.list[0].text, "lib\x1b[2Jx.so"));
	check_result_free(&result);
}

static void test_scripts(void **state)
{
	static const char *const lines[] = {"#!/usr/bin/env program\n",
					    "#! /usr/bin/env -S program -x\n",
					    "#!/usr/bin/env A=b program", "#!program"};
	struct check_result result;
	const char *program;

	save_elf(*state, "program", make_program(NULL));
	for (size_t i = 0; i < 4; i++) {
		scratch_save(*state, "script", lines[i], strlen(lines[i]));
		result = ask(*state, "script", 0);
		program = scratch_path(*state, "program");
		assert_string_equal(result.program, program);
		assert_string_equal(result.target, "script");
		check_result_free(&result);
	}
	scratch_save(*state, "script", "#!\n", 3);
	result = ask(*state, "script", -ENOEXEC);
	check_result_free(&result);
	scratch_save(*state, "script", "#!/usr/bin/env nosuch\n", 22);
	result = ask(*state, "script", -ENOENT);
	check_result_free(&result);
}

static void test_this_process(void **state)
{
	struct check_result result;
	(void)state;

	assert_int_equal(check_pid(getpid(), NULL, &result), 0);
	assert_int_equal(result.pid, getpid());
	assert_false(result.seen);
	assert_non_null(strstr(result.program, "test_check"));
	assert_true(has(&result.reasons, CHECK_REASON_NOT_PRELOADED));
	check_result_free(&result);
	assert_int_equal(check_pid(0, NULL, &result), -ESRCH);
	check_result_free(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_unit_test(test_direct),		 scratch_unit_test(test_transitive),
		scratch_unit_test(test_not_seen),	 scratch_unit_test(test_dlsym),
		scratch_unit_test(test_obstacles),	 scratch_unit_test(test_errors),
		scratch_unit_test(test_musl),
		scratch_unit_test(test_names_stay_as_they_are), scratch_unit_test(test_scripts),
		cmocka_unit_test(test_this_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
