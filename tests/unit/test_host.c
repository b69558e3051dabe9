/* SPDX-License-Identifier: Apache-2.0 */
/* Processes are found by their own ids and start times, also in other namespaces. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "trace/host.h"
#include "unit/children.h"

/* Field 22, parsed in another way: cut the name off, count words. */
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

static bool lives(pid_t pid, uint64_t start)
{
	return host_find(&(struct host_process){.pid = pid, .start_time = start});
}

static void test_alive(void **state)
{
	uint64_t start;

	(void)state;
	/* a name that imitates the fields after it */
	prctl(PR_SET_NAME, "a) Z 1 (b) 2 3");
	start = start_time_of(getpid());
	assert_true(lives(getpid(), start));
	assert_true(lives(getpid(), 0));
	/* an emulator's own start counts as that of the process */
	assert_true(lives(getpid(), start + 100));
	assert_false(lives(getpid(), start + 1000));
	assert_false(lives(0, 0));
	assert_false(lives(-1, 0));
	assert_false(lives(INT32_MAX, 0));
}

static void test_zombie(void **state)
{
	struct child child = child_start(child_only_wait, NULL);
	uint64_t start;

	(void)state;
	start = start_time_of(child.pid);
	assert_true(lives(child.pid, start));
	kill(child.pid, SIGSTOP);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, NULL, WSTOPPED | WNOWAIT), 0);
	assert_true(lives(child.pid, start));
	kill(child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, (id_t)child.pid, NULL, WEXITED | WNOWAIT), 0);
	assert_false(lives(child.pid, start));
	child_kill(&child);
	assert_false(lives(child.pid, start));
}

static void *sleep_for_ever(void *unused)
{
	for (;;)
		pause();
	return unused;
}

/* The first thread has ended and is a zombie, while another continues. */
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
	assert_true(lives(child, 0));
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
}

/* ---- namespaces ------------------------------------------------------------------ */

#define AHEAD_S 100000 /* of the time namespace */

static uint64_t inode_of(pid_t pid)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* Process 1 of new namespaces; its parent waits for it. It ends when the pipe is closed. */
static void make_container(int ready, int go_on)
{
	char offset[64];
	int length = snprintf(offset, sizeof(offset), "boottime %d 0\n", AHEAD_S);
	int fd;
	char byte = 0;
	pid_t first;

	if (unshare(CLONE_NEWPID | CLONE_NEWTIME))
		_exit(77);
	fd = open("/proc/self/timens_offsets", O_WRONLY);
	if (write(fd, offset, (size_t)length) != length)
		_exit(77);
	first = fork();
	if (!first) {
		byte = (char)read(go_on, &byte, 1);
		_exit(0);
	}
	if (write(ready, &first, sizeof(first)) != sizeof(first))
		_exit(1);
	waitpid(first, NULL, 0);
	_exit(0);
}

static void test_containers(void **state)
{
	int ready[2], go_on[2];
	struct host_process wanted = {.pid = 1, .boottime_offset_ns = AHEAD_S * 1000000000ll};
	pid_t parent, first = 0;

	(void)state;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go_on, O_CLOEXEC), 0);
	parent = fork();
	if (!parent) {
		close(go_on[1]);
		make_container(ready[1], go_on[0]);
	}
	close(ready[1]);
	if (read(ready[0], &first, sizeof(first)) != sizeof(first))
		skip(); /* not permitted here */
	wanted.pid_namespace = inode_of(first);
	wanted.start_time = start_time_of(first) + AHEAD_S * (uint64_t)sysconf(_SC_CLK_TCK);
	assert_int_equal(host_find(&wanted), first);
	assert_true(host_alive(first, &wanted));
	assert_int_equal(host_thread(first, 1), first);
	assert_int_equal(host_thread(first, 2), 0);
	/* the next number may be of another container, which began at the same time */
	wanted.pid_namespace = 1;
	assert_int_equal(host_find(&wanted), 0);
	wanted.pid_namespace = inode_of(first);
	wanted.start_time -= 1000;
	assert_int_equal(host_find(&wanted), 0);
	wanted.start_time += 1000;
	close(go_on[1]);
	waitpid(parent, NULL, 0);
	assert_int_equal(host_find(&wanted), 0);
	close(ready[0]);
	close(go_on[0]);
}

/* In our own namespace, a thread's own id is the one that we use. */
static void test_threads_of_our_own_namespace(void **state)
{
	(void)state;
	assert_int_equal(host_thread(getpid(), 12345), 12345);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_zombie),
		cmocka_unit_test(test_first_thread_ended),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_threads_of_our_own_namespace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
