/* SPDX-License-Identifier: Apache-2.0 */
/* The traced program: its environment, its start, its signals, its end. */
#ifndef TOOLS_RUN_LAUNCH_H
#define TOOLS_RUN_LAUNCH_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct launch {
	pid_t pid;
	uint64_t start; /* host_start() */
	int signals;   /* a signalfd, to be polled */
	bool ended;    /* the program */
	bool told;     /* a signal told the program to end */
	bool hurry;    /* after its end somebody asked us to end too */
	int status;    /* our exit status, once it has ended */
	sigset_t mask; /* as we were given them, for the program */
	struct sigaction child, pipe;
};

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

/* LD_PRELOAD with the shim in it once, before what was there. malloc()ed. */
char *launch_preload(const char *existing, const char *shim);

/* Starts the program, without `shim` untraced. 0, or the exit status after the reason was explained. */
int launch_start(struct launch *launch, char **argv, const char *shim, const char *directory);
/* To be called when `signals` is readable. */
void launch_signals(struct launch *launch);
void launch_close(struct launch *launch);

#endif
