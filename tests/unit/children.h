/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children of a test, for it to look at from outside.
 *
 *	static void hold(void *argument)
 *	{
 *		...
 *		child_ready();
 *	}
 *	struct child child = child_start(hold, argument);
 *	...
 *	child_kill(&child);
 */
#ifndef TESTS_UNIT_CHILDREN_H
#define TESTS_UNIT_CHILDREN_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
	pid_t pid;
	int say; /* closing it ends the child */
};

/* In the child: written to when it is ready, and read from until it is to end. */
extern int child_ready_fd, child_end_fd;

/* Runs `work` in a child; returns when that has said that it is ready. */
struct child child_start(void (*work)(void *), void *argument);
void child_kill(struct child *child);

/* What `work` calls: says it, and goes on; or waits until it is to end. */
void child_say_ready(void);
void child_ready(void);

/* The work of one that is only there. */
void child_only_wait(void *unused);

/* Gives up root for good. */
bool become_nobody(void);

/* Exit status of `ask` in a child, as nobody where we are root; -1: it was killed. */
int ask_as_nobody(int (*ask)(pid_t), pid_t pid);

#endif
