/* SPDX-License-Identifier: Apache-2.0 */
/* Children of a test. See children.h. */
#include "children.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY 65534

int child_ready_fd, child_end_fd;

void child_say_ready(void)
{
	if (write(child_ready_fd, "", 1) != 1)
		_exit(1);
}

void child_ready(void)
{
	char byte;

	child_say_ready();
	if (read(child_end_fd, &byte, 1) < 0)
		_exit(1);
}

void child_only_wait(void *unused)
{
	(void)unused;
	child_ready();
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
