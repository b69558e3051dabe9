/* SPDX-License-Identifier: Apache-2.0 */
/* Children of a test. See children.h. */
#include "children.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

int child_ready_fd, child_end_fd;

/* What a child says. */
enum { READY, READY_AND_WAITS };

static void say(char what)
{
	if (write(child_ready_fd, &what, 1) != 1)
		_exit(1);
}

void child_say_ready(void)
{
	say(READY);
}

void child_ready(void)
{
	char byte;

	say(READY_AND_WAITS);
	if (read(child_end_fd, &byte, 1) < 0)
		_exit(1);
}

void child_only_wait(void *unused)
{
	(void)unused;
	child_ready();
}

/* Between its word and its wait a child runs; nothing but its state tells that this is over. */
static void await_sleep(pid_t pid)
{
	char path[32], stat[64], state = 'R';

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state == 'R') {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		assert_non_null(fgets(stat, sizeof(stat), file));
		fclose(file);
		assert_int_equal(sscanf(strrchr(stat, ')'), ") %c", &state), 1);
		sched_yield();
	}
}

struct child child_start(void (*work)(void *), void *argument)
{
	int up[2], down[2];
	struct child child;
	char byte;

	assert_int_equal(pipe2(up, O_CLOEXEC), 0);
	assert_int_equal(pipe2(down, O_CLOEXEC), 0);
	child.pid = fork();
	assert_true(child.pid >= 0);
	if (!child.pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(up[0]);
		close(down[1]);
		child_ready_fd = up[1];
		child_end_fd = down[0];
		work(argument);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	assert_int_equal(read(up[0], &byte, 1), 1);
	close(up[0]);
	if (byte == READY_AND_WAITS)
		await_sleep(child.pid);
	child.say = down[1];
	return child;
}

void child_kill(struct child *child)
{
	close(child->say);
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
}

bool become_nobody(void)
{
	return !setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY);
}

int ask_as_nobody(int (*ask)(pid_t), pid_t pid)
{
	pid_t asker = fork();
	int status = -1;

	if (!asker)
		_exit(geteuid() == 0 && !become_nobody() ? 99 : ask(pid));
	waitpid(asker, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
