/* SPDX-License-Identifier: Apache-2.0 */
/* No file is opened by somebody else's name for it unless it is a regular one: not even for a moment. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/root.h"
#include "kernel/maps.h"
#include "regular.h"
#include "symbols/symbols.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

/* In place of a device, which only root could make here. */
static const char *make_pipe(const char *directory)
{
	const char *path = scratch_path(directory, "pipe");

	assert_int_equal(mkfifo(path, 0600), 0);
	return path;
}

/* Whether something in the directory has been opened. */
static bool was_opened(int watch)
{
	char events[4096];

	return read(watch, events, sizeof(events)) > 0;
}

static int watch_opens(const char *directory)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);

	assert_true(watch >= 0);
	assert_true(inotify_add_watch(watch, directory, IN_OPEN) >= 0);
	return watch;
}

static void test_what_is_opened(void **state)
{
	const char *path = scratch_save(*state, "file", "text", 4), *link = scratch_path(*state, "link");
	char text[8] = "";
	int fd;

	assert_int_equal(symlink("file", link), 0);
	fd = regular_open(link);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "text");
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	close(fd);
	assert_int_equal(regular_open(*state), -1);
	assert_int_equal(errno, EISDIR);
	unlink(path);
	assert_int_equal(regular_open(path), -1);
	assert_int_equal(errno, ENOENT);
}

static void test_by_name(void **state)
{
	const char *path = make_pipe(*state);
	int watch = watch_opens(*state);
	struct trace *trace;

	assert_int_equal(regular_open(path), -1);
	assert_int_equal(errno, EINVAL);
	assert_int_equal(root_open(&ROOT_OURS, path), -EINVAL);
	assert_int_equal(maps_open(getpid(), &(struct mapped){.path = (char *)path}), -1);
	assert_int_equal(trace_open_path(path, &trace), TRACE_ERROR_IO);
	assert_false(was_opened(watch));
	close(watch);
}

static void test_below_a_root(void **state)
{
	struct root root = {.fd = open(*state, O_PATH | O_DIRECTORY | O_CLOEXEC)};
	int watch, fd;

	make_pipe(*state);
	scratch_save(*state, "file", "text", 4);
	watch = watch_opens(*state);
	assert_int_equal(root_open(&root, "/pipe"), -EINVAL);
	assert_false(was_opened(watch));
	fd = root_open(&root, "/file");
	assert_true(fd >= 0 && was_opened(watch));
	close(fd);
	close(watch);
	close(root.fd);
}

static void test_in_a_trace(void **state)
{
	const char *path = make_pipe(*state);
	int watch = watch_opens(*state);
	struct symbols *symbols;
	struct trace *trace;
	struct build b;

	build_trace(&b, NULL);
	build_module(&b, path, 0x1000, 0x2000);
	assert_int_equal(trace_open_bytes(b.bytes, b.size, &trace), 0);
	symbols = symbols_of_trace(trace);
	assert_non_null(symbols);
	assert_false(was_opened(watch));
	symbols_free(symbols);
	trace_close(trace);
	build_free(&b);
	close(watch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_set_up, scratch_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_what_is_opened),
		TEST(test_by_name),
		TEST(test_below_a_root),
		TEST(test_in_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
