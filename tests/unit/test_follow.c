/* SPDX-License-Identifier: Apache-2.0 */
/* How `tlstall run` handles trace files that appear at the worst moments. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run/follow.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

#include <cmocka.h>

struct told {
	unsigned calls, handshakes, lost, failed, unread;
	char why[64];
};

static void on_call(void *context, struct followed *from, const struct tlstall_event *event,
		    uint64_t ns)
{
	struct told *told = context;

	(void)from, (void)ns;
	told->calls += event->type == TLSTALL_EVENT_CALL;
}

static void on_handshake(void *context, struct followed *from, const struct tlstall_handshake *h,
			 const struct kernel_view *view)
{
	struct told *told = context;

	(void)from, (void)h, (void)view;
	told->handshakes++;
}

static void on_lost(void *context, struct followed *from, uint64_t count)
{
	struct told *told = context;

	(void)from;
	told->lost += (unsigned)count;
}

static void on_followed(void *context, struct followed *from)
{
	(void)context, (void)from;
}

static void on_failed(void *context, pid_t pid, const char *reason)
{
	struct told *told = context;

	(void)pid, (void)reason;
	told->failed++;
}

static void on_unread(void *context, struct followed *from, const char *why)
{
	struct told *told = context;

	(void)from;
	told->unread++;
	snprintf(told->why, sizeof(told->why), "%s", why);
}

static struct follow_sink sink_of(struct told *told)
{
	return (struct follow_sink){
		.call = on_call,
		.handshake = on_handshake,
		.lost = on_lost,
		.opened = on_followed,
		.closing = on_followed,
		.failed = on_failed,
		.unread = on_unread,
		.context = told,
	};
}

/* ---- a disk that fails --------------------------------------------------------------- */

static bool disk_fails;

/* In place of the C library's. */
ssize_t pread(int fd, void *buffer, size_t size, off_t offset)
{
	if (!__atomic_load_n(&disk_fails, __ATOMIC_ACQUIRE))
		return syscall(SYS_pread64, fd, buffer, size, offset);
	errno = EIO;
	return -1;
}

static void set_disk_fails(bool fails)
{
	__atomic_store_n(&disk_fails, fails, __ATOMIC_RELEASE);
}

/* ---- traces of processes that have ended ------------------------------------------------- */

static pid_t dead_process(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return pid;
}

/* One handshake of two calls by a process that has just ended. */
static void write_young_trace(const char *directory, pid_t pid)
{
	struct timespec now;
	struct build b;
	struct tlstall_handshake *h;
	char made[256], path[256];

	build_trace(&b, NULL);
	clock_gettime(CLOCK_MONOTONIC, &now);
	b.header->first.monotonic_ns =
		(uint64_t)now.tv_sec * 1000 * BUILD_MS + (uint64_t)now.tv_nsec;
	b.header->pid = b.processes[0].pid = (uint32_t)pid;
	h = build_handshake(&b, 0x5000, BUILD_MS);
	build_call(&b, h, "SSL_connect", BUILD_MS, BUILD_US, -1, BUILD_WANT_READ);
	build_call(&b, h, "SSL_connect", 2 * BUILD_MS, BUILD_US, 1, BUILD_NONE);
	build_end(&b, h, 2 * BUILD_MS + BUILD_US, TLSTALL_OUTCOME_OK);
	snprintf(made, sizeof(made), "%s/made", directory);
	snprintf(path, sizeof(path), "%s/%d-1.tlstall", directory, (int)pid);
	assert_int_equal(build_write(&b, made), 0);
	assert_int_equal(rename(made, path), 0);
	build_free(&b);
}

/* Its clock needs time before its events can be read: the trace is not dropped meanwhile. */
static void test_a_process_that_ends_before_we_look(void **state)
{
	struct told told = {0};
	const struct follow_sink sink = sink_of(&told);
	const char *directory = *state;
	struct follow follow;

	assert_int_equal(follow_open(&follow, directory, &sink), 0);
	write_young_trace(directory, dead_process());
	follow_poll(&follow);
	follow_poll(&follow);
	follow_finish(&follow);
	assert_int_equal(told.calls, 2);
	assert_int_equal(told.handshakes, 1);
	assert_int_equal(told.lost + told.failed + told.unread, 0);
	assert_int_equal(follow.seen, 1);
	follow_close(&follow);
	assert_int_equal(rmdir(directory), 0);
}

/* Nothing is lost if the disk recovers. */
static void test_a_disk_that_fails_for_a_while(void **state)
{
	struct told told = {0};
	const struct follow_sink sink = sink_of(&told);
	struct follow follow;

	assert_int_equal(follow_open(&follow, *state, &sink), 0);
	write_young_trace(*state, dead_process());
	follow_poll(&follow);
	set_disk_fails(true);
	follow_poll(&follow);
	follow_poll(&follow);
	set_disk_fails(false);
	assert_int_equal(told.unread, 1);
	assert_string_equal(told.why, strerror(EIO));
	follow_finish(&follow);
	assert_int_equal(told.calls, 2);
	assert_int_equal(told.handshakes, 1);
	assert_int_equal(told.lost + told.failed, 0);
	follow_close(&follow);
	assert_int_equal(rmdir(*state), 0);
}

/* What was not read stays on the disk. */
static void test_a_disk_that_fails_for_good(void **state)
{
	struct told told = {0};
	const struct follow_sink sink = sink_of(&told);
	pid_t pid = dead_process();
	struct follow follow;
	char path[256];

	assert_int_equal(follow_open(&follow, *state, &sink), 0);
	write_young_trace(*state, pid);
	follow_poll(&follow);
	set_disk_fails(true);
	follow_finish(&follow);
	follow_close(&follow);
	set_disk_fails(false);
	assert_int_equal(told.calls, 0);
	assert_int_equal(told.unread, 1);
	snprintf(path, sizeof(path), "%s/%d-1.tlstall", (const char *)*state, (int)pid);
	assert_int_equal(unlink(path), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_unit_test(test_a_process_that_ends_before_we_look),
		scratch_unit_test(test_a_disk_that_fails_for_a_while),
		scratch_unit_test(test_a_disk_that_fails_for_good),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
