/* SPDX-License-Identifier: Apache-2.0 */
/* Traces are removed only in the directory that was asked for, and recounted there for every user. */
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "prune/prune.h"
#include "scratch.h"
#include "trace/ledger.h"

/* ---- another directory takes its place ------------------------------------------------- */

/* Notes of a process that cannot exist. */
static const char *const notes[] = {
	"4194309-1-0000000000000001.failed-EACCES",
	"4194309-1-0000000000000002.failed-EACCES",
};

static void make(const char *top, const char *directory)
{
	char name[80];

	assert_int_equal(mkdir(scratch_path(top, directory), 0700), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s/%s", directory, notes[i]);
		scratch_save(top, name, "", 0);
	}
}

/* After the first file, a link to the other directory is there. */
static void swap(void *context, const char *path, uint64_t bytes)
{
	const char *top = context;

	(void)path, (void)bytes;
	if (!rename(scratch_path(top, "asked"), scratch_path(top, "away")))
		assert_int_equal(symlink("another", scratch_path(top, "asked")), 0);
}

static void never(void *context, const char *path, const char *why)
{
	(void)context;
	fail_msg("%s: %s", path, why);
}

static void test_another_directory_takes_its_place(void **state)
{
	const struct prune_sink sink = {swap, never, never, *state};
	struct prune_wish wish = {.keep_bytes = UINT64_MAX, .keep_traces = UINT_MAX};
	struct pruned done;
	char name[80];

	make(*state, "asked");
	make(*state, "another");
	wish.directory = scratch_path(*state, "asked");
	assert_int_equal(prune(&wish, &sink, &done), 0);
	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "away/%s", notes[i]);
		assert_int_not_equal(access(scratch_path(*state, name), F_OK), 0);
		snprintf(name, sizeof(name), "another/%s", notes[i]);
		assert_int_equal(access(scratch_path(*state, name), F_OK), 0);
	}
}

/* ---- many users, many traces ------------------------------------------------------------ */

#define USERS 40
#define FIRST_USER 20000u

static void make_for(const char *top, const char *format, unsigned number, uid_t user)
{
	char name[80];

	snprintf(name, sizeof(name), format, number);
	assert_int_equal(chown(scratch_save(top, name, "12345", 5), user, (gid_t)-1), 0);
}

static void test_every_user_is_recounted(void **state)
{
	struct stat st;
	char name[40];

	if (geteuid())
		skip();
	for (unsigned i = 0; i < USERS; i++) {
		make_for(*state, ".taken-%u", FIRST_USER + i, FIRST_USER + i);
		make_for(*state, "%u-1-0000000000000001.tlstall", FIRST_USER + i, FIRST_USER + i);
		for (unsigned j = 0; j < 50; j++)
			make_for(*state, "%u-2-0000000000000001.tlstall", 50 * i + j, 0);
	}
	assert_int_equal(trace_ledger_settle(*state), 0);
	for (unsigned i = 0; i < USERS; i++) {
		snprintf(name, sizeof(name), ".taken-%u", FIRST_USER + i);
		assert_int_equal(stat(scratch_path(*state, name), &st), 0);
		assert_int_equal(st.st_size, 1);
		assert_int_equal(st.st_uid, FIRST_USER + i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_another_directory_takes_its_place,
						scratch_set_up, scratch_tear_down),
		cmocka_unit_test_setup_teardown(test_every_user_is_recounted, scratch_set_up,
						scratch_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
