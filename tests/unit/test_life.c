/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes of a trace are alive, and when the others were last seen. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/host.h"
#include "trace/reader.h"
#include "unit/build_trace.h"
#include "unit/children.h"

static void read_boot_id(char *buffer, size_t size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "r");

	assert_non_null(file);
	assert_non_null(fgets(buffer, (int)size, file));
	buffer[strcspn(buffer, "\n")] = '\0';
	fclose(file);
}

/* A trace with this host's clock, of process `pid`, not ended. */
static void build_local(struct build *b, pid_t pid, uint64_t ticks)
{
	build_trace(b, NULL);
	read_boot_id(b->header->boot_id, sizeof(b->header->boot_id));
	b->header->exited = 0;
	b->header->pid = b->processes[0].pid = (uint32_t)pid;
	b->processes[0].exited = 0;
	b->processes[0].start_time = 0;
	b->header->first = b->header->last = (struct tlstall_clock_pair){ticks, ticks, ticks};
	memset(b->header->program, 0, sizeof(b->header->program));
	assert_true(readlink("/proc/self/exe", b->header->program, 255) > 0);
}

static void test_horizon_of_exited(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_one(&b);
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	assert_int_equal(trace_horizon(trace, 0), 10 * BUILD_S);
	trace_close(trace);
	build_free(&b);
}

static void test_horizon_of_killed(void **state)
{
	struct build b;
	struct tlstall_handshake *h;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	build_process(&b, 4200, "worker");
	b.header->forked = 1;
	b.processes[0].exited = b.processes[1].exited = b.header->exited = 0;
	h = build_handshake(&b, 0x5000, 1 * BUILD_MS);
	h->enter = 7 * BUILD_MS;
	h = build_handshake(&b, 0x6000, 1 * BUILD_MS);
	h->process = 1;
	build_call(&b, h, "SSL_accept", 8 * BUILD_MS, 2 * BUILD_MS, -1, BUILD_WANT_READ);
	h->leave = 0;
	trace = build_open(&b);
	assert_int_equal(trace_horizon(trace, 0), 7 * BUILD_MS);
	assert_int_equal(trace_horizon(trace, 1), 10 * BUILD_MS);
	/* a process that is not in the file */
	assert_int_equal(trace_horizon(trace, 100), b.header->last.ticks);
	assert_false(trace_alive(trace, 100));
	trace_close(trace);
	build_free(&b);
}

static void test_horizon_of_killed_without_children(void **state)
{
	struct build b;
	struct trace *trace;

	(void)state;
	build_trace(&b, NULL);
	b.processes[0].exited = b.header->exited = 0;
	trace = build_open(&b);
	assert_int_equal(trace_horizon(trace, 0), b.header->last.ticks);
	trace_close(trace);
	build_free(&b);
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * BUILD_S + (uint64_t)now.tv_nsec;
}

static void test_horizon_of_alive(void **state)
{
	struct tlstall_clock_pair now = {77, 77, 77};
	uint64_t before = monotonic_ns(), seen;
	struct build b;
	struct trace *trace;

	(void)state;
	build_local(&b, getpid(), before);
	trace = build_open(&b);
	assert_true(trace_is_local(trace));
	assert_true(trace_alive(trace, 0));
	seen = trace_horizon(trace, 0);
	assert_in_range(seen, before, monotonic_ns());
	trace_set_now(trace, now);
	assert_int_equal(trace_horizon(trace, 0), 77);
	trace_close(trace);

	/* another process with the same id */
	b.processes[0].start_time = 1;
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	/* the same id on another host */
	b.processes[0].start_time = 0;
	b.header->boot_id[0] = 'x';
	trace = build_open(&b);
	assert_false(trace_is_local(trace));
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	build_free(&b);
}

/*
 * After the process is killed, the horizon is when it was last seen
 * alive, even if the file says less.
 */
static void test_seen_alive(void **state)
{
	uint64_t before = monotonic_ns();
	const struct timespec pause = {.tv_nsec = 20000000};
	struct child child = child_start(child_only_wait, NULL);
	struct build b;
	struct trace *trace;

	(void)state;
	build_local(&b, child.pid, before);
	trace = build_open(&b);
	assert_true(trace_alive(trace, 0));
	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, NULL, WEXITED | WNOWAIT), 0);
	/* a zombie is dead; an answer may be a few milliseconds old */
	while (trace_alive(trace, 0) && monotonic_ns() - before < BUILD_S)
		nanosleep(&pause, NULL);
	assert_false(trace_alive(trace, 0));
	assert_true(trace_horizon(trace, 0) > before);
	assert_true(trace_horizon(trace, 0) < monotonic_ns());
	child_kill(&child);
	trace_close(trace);
	build_free(&b);
}

/* An exec keeps process id and start time, but not our handshakes. */
static void test_replaced_by_exec(void **state)
{
	struct build b;
	struct trace *trace;
	int ends[2];
	pid_t child;
	char byte;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	assert_int_not_equal(child, -1);
	if (!child) {
		execl("/bin/sleep", "sleep", "1000", (char *)NULL);
		_exit(1);
	}
	close(ends[1]);
	assert_int_equal(read(ends[0], &byte, 1), 0); /* closed by the exec */
	build_local(&b, child, 1);
	trace = build_open(&b);
	assert_true(host_find(&(struct host_process){.pid = child}) == child);
	assert_false(trace_alive(trace, 0));
	trace_close(trace);
	/* if the path may be cut off, nothing can be said */
	memset(b.header->program, 'x', sizeof(b.header->program) - 1);
	trace = build_open(&b);
	assert_true(trace_alive(trace, 0));
	trace_close(trace);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	close(ends[0]);
	build_free(&b);
}

/* Its entry is claimed, but a busy host interrupted it: it is alive, and so is its trace. */
static void test_starting(void **state)
{
	struct build b;
	struct trace *trace;
	pid_t dead = fork();

	(void)state;
	if (!dead)
		_exit(0);
	assert_int_equal(waitpid(dead, NULL, 0), dead);
	build_local(&b, getpid(), monotonic_ns());
	b.header->start_time = 0;
	b.processes[0].commit = 0;
	trace = build_open(&b);
	assert_true(trace_alive(trace, 0));
	trace_close(trace);
	b.header->pid = (uint32_t)dead;
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	trace_close(trace);

	/* a child of it, of which nothing is known */
	build_process(&b, (uint32_t)getpid(), "child");
	b.processes[1].exited = 0;
	b.processes[1].commit = 0;
	trace = build_open(&b);
	assert_false(trace_alive(trace, 0));
	assert_true(trace_alive(trace, 1));
	assert_false(trace_alive(trace, 2));
	trace_close(trace);
	build_free(&b);
}

struct counted {
	const struct build *b;
	unsigned reads;
};

static ssize_t counted_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	struct counted *c = context;

	c->reads++;
	if (offset >= c->b->size)
		return 0;
	if (size > c->b->size - offset)
		size = c->b->size - offset;
	memcpy(buffer, c->b->bytes + offset, size);
	return (ssize_t)size;
}

/* A file that says nothing true about its processes is not read again for each of its handshakes. */
static void test_damaged_entry(void **state)
{
	struct build b;
	struct trace *trace;
	struct counted counted = {.b = &b};
	unsigned once;

	(void)state;
	build_trace(&b, NULL);
	b.processes[0].commit = b.processes[0].exited = b.header->exited = 0;
	b.header->process_count = UINT32_MAX;
	build_handshake(&b, 0x5000, 1 * BUILD_MS)->enter = 7 * BUILD_MS;
	assert_int_equal(trace_open((struct trace_source){counted_read, NULL, &counted}, &trace), 0);
	assert_int_equal(trace_horizon(trace, 0), 7 * BUILD_MS);
	once = counted.reads;
	for (int i = 0; i < 10; i++)
		assert_int_equal(trace_horizon(trace, 0), 7 * BUILD_MS);
	assert_in_range(counted.reads, once, once + 20); /* its entry, each time */
	trace_close(trace);
	build_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_horizon_of_exited),
		cmocka_unit_test(test_horizon_of_killed),
		cmocka_unit_test(test_horizon_of_killed_without_children),
		cmocka_unit_test(test_horizon_of_alive),
		cmocka_unit_test(test_seen_alive),
		cmocka_unit_test(test_replaced_by_exec),
		cmocka_unit_test(test_starting),
		cmocka_unit_test(test_damaged_entry),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
