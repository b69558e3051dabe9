/* SPDX-License-Identifier: Apache-2.0 */
/* What was seen of a program from outside is saved in its trace and read back. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/kernel.h"
#include "trace/reader.h"
#include "unit/build_trace.h"

static const struct kernel_view view = {
	.socket = {.ticks = 1, .inq = 7, .tcp_state = 1},
	.peer = {.family = 2, .port = 443},
	.local = {.family = 2, .addr = {127, 0, 0, 1}, .port = 40000},
	.descriptor = TLSTALL_DESCRIPTOR_CLOSED,
	.unread = 3,
	.wait = TLSTALL_WAIT_ON_SOCKET,
	.syscall = "read",
	.fd = 5,
};

/* Two handshakes, the second hangs; its process was killed. */
static void write_trace(char *path)
{
	struct tlstall_handshake *h;
	struct build b;
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	build_trace(&b, NULL);
	h = build_handshake(&b, 0x5000, 1 * BUILD_MS);
	build_end(&b, h, 2 * BUILD_MS, TLSTALL_OUTCOME_OK);
	h = build_handshake(&b, 0x6000, 3 * BUILD_MS);
	h->enter = 3 * BUILD_MS;
	b.header->exited = b.processes[0].exited = 0;
	b.header->exit_ticks = b.processes[0].exit_ticks = 0;
	b.header->last = (struct tlstall_clock_pair){4 * BUILD_MS, 4 * BUILD_MS,
						     BUILD_EPOCH_NS + 4 * BUILD_MS};
	assert_int_equal(build_write(&b, path), 0);
	build_free(&b);
}

static off_t size_of(const char *path)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return status.st_size;
}

static void keep(const char *path, int expected)
{
	struct tlstall_look looks[2];

	/* in any order */
	kernel_keep(&view, &(struct tlstall_handshake){.number = 2}, 5 * BUILD_S, &looks[0]);
	kernel_keep(&view, &(struct tlstall_handshake){.number = 1}, 4 * BUILD_S, &looks[1]);
	looks[1].moved = 1;
	assert_int_equal(trace_keep_looks(path, looks, 2), expected);
}

static void test_kept_and_found(void **state)
{
	char path[] = "/tmp/tlstall-looks-XXXXXX";
	struct kernel_view found;
	struct tlstall_handshake h;
	struct trace *trace;

	(void)state;
	write_trace(path);
	keep(path, 0);
	assert_int_equal(trace_open_path(path, &trace), 0);
	assert_int_equal(trace_damage(trace), 0);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_true(kernel_recall(trace, &h, &found));
	assert_memory_equal(&found.socket, &view.socket, sizeof(view.socket));
	assert_memory_equal(&found.peer, &view.peer, sizeof(view.peer));
	/* only the port is kept: 0.0.0.0 would be wrong */
	assert_int_equal(found.local.port, 40000);
	assert_int_equal(found.local.family, 0);
	assert_int_equal(found.wait, TLSTALL_WAIT_ON_SOCKET);
	assert_int_equal(found.fd, 5);
	assert_int_equal(found.descriptor, view.descriptor);
	assert_int_equal(found.unread, view.unread);
	assert_string_equal(found.syscall, "read");
	assert_false(found.past);
	/* it was alive, and hung, until then */
	assert_int_equal(trace_horizon(trace, 0), 5 * BUILD_S);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_true(kernel_recall(trace, &h, &found) && found.past);
	trace_close(trace);
	unlink(path);
}

static void test_what_is_private_is_not_kept(void **state)
{
	char path[] = "/tmp/tlstall-looks-XXXXXX";
	const uint32_t privacy = TLSTALL_PRIVACY_PEER | TLSTALL_PRIVACY_STACKS;
	struct kernel_view found;
	struct tlstall_handshake h;
	struct trace *trace;
	int fd;

	(void)state;
	write_trace(path);
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, &privacy, 4, offsetof(struct tlstall_header, privacy)), 4);
	close(fd);
	keep(path, 0);
	assert_int_equal(trace_open_path(path, &trace), 0);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_true(kernel_recall(trace, &h, &found));
	assert_int_equal(found.peer.family, 0);
	assert_int_equal(found.peer.port, 0);
	assert_memory_equal(&found.socket, &view.socket, sizeof(view.socket));
	trace_close(trace);
	unlink(path);
}

static void test_none_are_kept(void **state)
{
	char path[] = "/tmp/tlstall-looks-XXXXXX";
	struct kernel_view found;
	struct tlstall_handshake h;
	struct trace *trace;

	(void)state;
	write_trace(path);
	assert_int_equal(trace_open_path(path, &trace), 0);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_false(kernel_recall(trace, &h, &found));
	trace_close(trace);
	unlink(path);
}

/*
 * A trace that has looks already, a file that is no trace, and one
 * that cannot grow stay unchanged.
 */
static void test_not_kept(void **state)
{
	char path[] = "/tmp/tlstall-looks-XXXXXX", other[] = "/tmp/tlstall-looks-XXXXXX";
	struct rlimit limit, before;
	off_t size;
	int fd = mkstemp(other);

	(void)state;
	assert_int_equal(write(fd, "a letter", 8), 8);
	close(fd);
	keep(other, -1);
	assert_int_equal(size_of(other), 8);
	write_trace(path);
	size = size_of(path);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = before;
	limit.rlim_cur = (rlim_t)size;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	keep(path, -1);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(size_of(path), size);
	keep(path, 0);
	size = size_of(path);
	keep(path, -1);
	assert_int_equal(size_of(path), size);
	unlink(path);
	unlink(other);
}

/* Damage affects only the looks. */
static void test_damaged(void **state)
{
	char path[] = "/tmp/tlstall-looks-XXXXXX";
	struct kernel_view found;
	struct tlstall_handshake h;
	struct trace *trace;

	(void)state;
	write_trace(path);
	keep(path, 0);
	/* the first is complete, the second is not */
	assert_int_equal(truncate(path, size_of(path) - 1), 0);
	assert_int_equal(trace_open_path(path, &trace), 0);
	assert_int_equal(trace_damage(trace), 1);
	assert_int_equal(trace_handshake(trace, 1, &h), 0);
	assert_true(kernel_recall(trace, &h, &found));
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_false(kernel_recall(trace, &h, &found));
	trace_close(trace);
	unlink(path);
}

static void test_out_of_bounds(void **state)
{
	struct kernel_view found;
	struct tlstall_handshake h;
	struct trace *trace;
	struct build b;

	(void)state;
	build_trace(&b, NULL);
	build_handshake(&b, 0x5000, BUILD_MS);
	build_look(&b, &(struct tlstall_look){.handshake = 1, .wait = 77});
	memset(((struct tlstall_look *)(b.bytes + b.size - sizeof(struct tlstall_look)))->syscall,
	       'x', 24);
	trace = build_open(&b);
	assert_int_equal(trace_handshake(trace, 0, &h), 0);
	assert_true(kernel_recall(trace, &h, &found));
	assert_int_equal(found.wait, TLSTALL_WAIT_UNKNOWN);
	assert_int_equal(strlen(found.syscall), 23);
	trace_close(trace);
	b.header->section[TLSTALL_SECTION_LOOKS].offset = b.size;
	trace = build_open(&b);
	assert_int_equal(trace_damage(trace), 1);
	assert_false(kernel_recall(trace, &h, &found));
	trace_close(trace);
	build_free(&b);
}

/* On a busy machine, a thread that was just woken waits for a CPU. */
static void test_just_woken(void **state)
{
	const struct cpu_share before = {.ns = 40, .ran_ns = 40, .over_ns = 1000},
			       woken = {.ns = 45, .ran_ns = 41, .over_ns = 2000};
	struct kernel_view first = view, later = {.wait = TLSTALL_WAIT_RUNNING, .fd = -1};

	(void)state;
	first.used = before;
	later.used = woken;
	later.socket = first.socket;
	kernel_add_burnt(&first, &later);
	assert_int_equal(later.burnt.ns, 5);
	assert_int_equal(later.wait, TLSTALL_WAIT_ON_SOCKET);
	assert_string_equal(later.syscall, "read");
	assert_int_equal(later.fd, 5);
	/* bytes came, so what it does now is another matter */
	later.wait = TLSTALL_WAIT_RUNNING;
	later.socket.bytes_received++;
	kernel_add_burnt(&first, &later);
	assert_int_equal(later.wait, TLSTALL_WAIT_RUNNING);
	later.socket = first.socket;
	/* it computed for most of the time */
	later.used.ns = later.used.ran_ns = 900;
	kernel_add_burnt(&first, &later);
	assert_int_equal(later.wait, TLSTALL_WAIT_RUNNING);
	/* it could run already at the first look, and got no CPU since */
	later.used = woken;
	first.wait = TLSTALL_WAIT_RUNNING;
	kernel_add_burnt(&first, &later);
	assert_int_equal(later.wait, TLSTALL_WAIT_RUNNING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kept_and_found),
		cmocka_unit_test(test_just_woken),
		cmocka_unit_test(test_what_is_private_is_not_kept), cmocka_unit_test(test_none_are_kept),
		cmocka_unit_test(test_not_kept),       cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_out_of_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
