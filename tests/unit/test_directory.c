/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trace directories: where they are searched for, what counts as a trace, which process is alive.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/directory.h"
#include "unit/children.h"
#include "unit/scratch.h"

static void touch(const char *directory, const char *name)
{
	scratch_save(directory, name, "", 0);
}

/* ---- where ------------------------------------------------------------------------ */

static void test_default_directory(void **state)
{
	char found[200], expected[200];

	(void)state;
	setenv("TLSTALL_DIR", "/var/tmp/traces", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	trace_default_directory(found, sizeof(found));
	assert_string_equal(found, "/var/tmp/traces");
	/* the shim accepts only absolute paths */
	setenv("TLSTALL_DIR", "traces", 1);
	trace_default_directory(found, sizeof(found));
	assert_string_equal(found, "/run/user/7/tlstall");
	setenv("TLSTALL_DIR", "", 1);
	setenv("XDG_RUNTIME_DIR", "", 1);
	trace_default_directory(found, sizeof(found));
	snprintf(expected, sizeof(expected), "/tmp/tlstall-%u", (unsigned)getuid());
	assert_string_equal(found, expected);
}

static unsigned count_of(char **directories, const char *name)
{
	unsigned count = 0;

	for (; *directories; directories++)
		count += !strcmp(*directories, name);
	return count;
}

static void test_search_path(void **state)
{
	char own[64];
	char **path;

	snprintf(own, sizeof(own), "/tmp/tlstall-%u", (unsigned)getuid());
	setenv("TLSTALL_DIR", "/var/tmp/traces", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	path = trace_search_path();
	assert_string_equal(path[0], "/var/tmp/traces");
	assert_int_equal(count_of(path, "/run/user/7/tlstall"), 1);
	assert_int_equal(count_of(path, own), 1);
	/* root's own search covers everybody's: /tmp/tlstall-* */
	assert_int_equal(count_of(path, *state), geteuid() == 0);
	trace_search_path_free(path);

	setenv("TLSTALL_DIR", own, 1);
	unsetenv("XDG_RUNTIME_DIR");
	path = trace_search_path();
	assert_string_equal(path[0], own);
	assert_int_equal(count_of(path, own), 1);
	trace_search_path_free(path);
}

/* ---- what is in them ---------------------------------------------------------------- */

static void test_list(void **state)
{
	static const char *const others[] = {
		".tlstall",
		"12.tlstall",
		"12-.tlstall",
		"-34.tlstall",
		"12-34.tlstall~",
		"x12-34.tlstall",
		"12-34.tlstall.new",
		"12-34.failed-",
		"12-34.failed",
		"0-34.tlstall",
		"99999999999-1.tlstall",
		"12-99999999999999999999999.tlstall",
		" 12-34.tlstall",
		"12-+34.tlstall",
	};
	struct trace_list list = {0};
	const char *from;

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		touch(*state, others[i]);
	touch(*state, "700-20.tlstall");
	touch(*state, "31-9000000000000000000.tlstall");
	touch(*state, "700-3.failed-ENOSPC");
	from = scratch_path(*state, "700-20.tlstall");
	assert_int_equal(symlink(from, scratch_path(*state, "800-1.tlstall")), 0);
	assert_int_equal(mkdir(scratch_path(*state, "900-1.tlstall"), 0700), 0);

	assert_int_equal(trace_list_add(&list, *state), 0);
	assert_int_equal(list.count, 3);
	assert_int_equal(list.entries[0].pid, 31);
	assert_int_equal(list.entries[0].start_time, 9000000000000000000);
	assert_null(list.entries[0].failed);
	assert_int_equal(list.entries[1].pid, 700);
	assert_int_equal(list.entries[1].start_time, 3);
	assert_string_equal(list.entries[1].failed, "ENOSPC");
	assert_int_equal(list.entries[2].start_time, 20);
	assert_string_equal(list.entries[2].path, from);

	/* a second directory is merged in order */
	assert_int_equal(trace_list_add(&list, *state), 0);
	assert_int_equal(list.count, 6);
	assert_int_equal(list.entries[1].pid, 31);
	assert_int_equal(list.entries[5].start_time, 20);
	trace_list_free(&list);
	assert_int_equal(list.count, 0);
}

static void test_no_directory(void **state)
{
	struct trace_list list = {0};

	assert_int_equal(trace_list_add(&list, scratch_path(*state, "nowhere")), -1);
	assert_int_equal(errno, ENOENT);
	touch(*state, "file");
	assert_int_equal(trace_list_add(&list, scratch_path(*state, "file")), -1);
	assert_int_equal(errno, ENOTDIR);
	assert_int_equal(list.count, 0);
	assert_int_equal(trace_list_add(&list, *state), 0);
	assert_int_equal(list.count, 0);
	trace_list_free(&list);
}

/* Exec keeps the process id: later images have traces of their own. */
static void test_images(void **state)
{
	static const char *const names[] = {"12-34-10.tlstall", "12-34.tlstall", "12-34-2.tlstall"};
	static const uint32_t order[] = {0, 2, 10};
	struct trace_list list = {0};

	for (unsigned i = 0; i < 3; i++)
		touch(*state, names[i]);
	touch(*state, "12-34-.tlstall");
	touch(*state, "12-34-1-1.tlstall");
	touch(*state, "12-34-99999999999.tlstall");
	assert_int_equal(trace_list_add(&list, *state), 0);
	assert_int_equal(list.count, 3);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(list.entries[i].start_time, 34);
		assert_int_equal(list.entries[i].image, order[i]);
	}
	trace_list_free(&list);
}

/* Processes of several namespaces may have the same id and start. */
static void test_tags(void **state)
{
	struct trace_list list = {0};

	touch(*state, "1-20-00000000000000ff.tlstall");
	touch(*state, "1-20-00000000000000fe-1.tlstall");
	touch(*state, "1-20-00000000000000fe.tlstall");
	touch(*state, "1-0-0000000000000000.failed-EMFILE");
	touch(*state, "1-20-00000000000000fF.tlstall");
	touch(*state, "1-20-000000000000000fe.tlstall");
	touch(*state, "1-20-00000000000000fe.making");
	assert_int_equal(trace_list_add(&list, *state), 0);
	assert_int_equal(list.count, 4);
	assert_string_equal(list.entries[0].failed, "EMFILE");
	assert_int_equal(list.entries[1].tag, 0xfe);
	assert_int_equal(list.entries[1].image, 0);
	assert_int_equal(list.entries[2].tag, 0xfe);
	assert_int_equal(list.entries[2].image, 1);
	assert_int_equal(list.entries[3].tag, 0xff);
	trace_list_free(&list);
}

/* ---- alive ------------------------------------------------------------------------------ */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_directory),
		scratch_unit_test(test_search_path),
		scratch_unit_test(test_list),
		scratch_unit_test(test_images),
		scratch_unit_test(test_tags),
		scratch_unit_test(test_no_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
