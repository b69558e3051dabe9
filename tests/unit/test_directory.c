/* SPDX-License-Identifier: Apache-2.0 */
/* Trace directories: where they are looked for, what counts in them; which process is alive. */
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
	/* the shim takes absolute paths only */
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
	/* root's own looks like everybody's: /tmp/tlstall-* */
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

	/* a second directory joins in, in order */
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

/* Exec keeps the process: its later images have traces of their own. */
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

/* ---- alive ------------------------------------------------------------------------------ */

/* Field 22, by another way than the code's: cut the name off, count words. */
static uint64_t start_time_of(pid_t pid)
{
	char command[200];
	unsigned long long value = 0;
	FILE *pipe;

	snprintf(command, sizeof(command), "sed 's/.*) //' /proc/%d/stat | cut -d' ' -f20", pid);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%llu", &value), 1);
	pclose(pipe);
	return value;
}

static void test_alive(void **state)
{
	uint64_t start;

	(void)state;
	/* a name that looks like the fields behind it */
	prctl(PR_SET_NAME, "a) Z 1 (b) 2 3");
	start = start_time_of(getpid());
	assert_true(trace_process_alive(getpid(), start));
	assert_true(trace_process_alive(getpid(), 0));
	/* an emulator's own start counts as the process's */
	assert_true(trace_process_alive(getpid(), start + 100));
	assert_false(trace_process_alive(getpid(), start + 1000));
	assert_false(trace_process_alive(0, 0));
	assert_false(trace_process_alive(-1, 0));
	assert_false(trace_process_alive(INT32_MAX, 0));
}

static void test_zombie(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	uint64_t start;

	(void)state;
	start = start_time_of(child.pid);
	assert_true(trace_process_alive(child.pid, start));
	kill(child.pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, NULL, WSTOPPED | WNOWAIT), 0);
	assert_true(trace_process_alive(child.pid, start));
	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, NULL, WEXITED | WNOWAIT), 0);
	assert_false(trace_process_alive(child.pid, start));
	child_kill(&child);
	assert_false(trace_process_alive(child.pid, start));
}

static void *sleep_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* Its first thread has ended, which leaves a zombie of it, and another goes on. */
static void test_first_thread_ended(void **state)
{
	pid_t child = fork();
	pthread_t thread;
	char path[64], text[512];
	const char *end;

	(void)state;
	assert_int_not_equal(child, -1);
	if (!child) {
		pthread_create(&thread, NULL, sleep_for_ever, NULL);
		pthread_exit(NULL);
	}
	snprintf(path, sizeof(path), "/proc/%d/stat", child);
	do {
		FILE *file = fopen(path, "r");

		assert_non_null(file);
		assert_non_null(fgets(text, sizeof(text), file));
		fclose(file);
		end = strrchr(text, ')');
		assert_non_null(end);
	} while (strncmp(end, ") Z", 3) != 0);
	assert_true(trace_process_alive(child, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_directory),
		scratch_unit_test(test_search_path),
		scratch_unit_test(test_list),
		scratch_unit_test(test_images),
		scratch_unit_test(test_no_directory),
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_first_thread_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
