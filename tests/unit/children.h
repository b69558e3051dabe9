/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Children of a test, which looks at them from outside.
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

/* In the child: written when it is ready, and read until it must end. */
extern int child_ready_fd, child_end_fd;

/* Runs `work` in a child; returns when the child says that it is ready, and, in child_ready(), sleeps. */
struct child child_start(void (*work)(void *), void *argument);
void child_kill(struct child *child);

/* For `work`: the first says that the child is ready, the second also waits until it must end. */
void child_say_ready(void);
void child_ready(void);

/* `work` of a child that only exists. */
void child_only_wait(void *unused);

/* Drops root for good. */
bool become_nobody(void);

/* The exit status of `ask` in a child, which gives up root first; -1: it was killed. */
int ask_as_nobody(int (*ask)(pid_t), pid_t pid);

#endif
