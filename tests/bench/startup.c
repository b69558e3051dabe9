/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim adds to the start and end of a program, in microseconds, compared with an empty
 * preloaded library: startup PAIRS EMPTY SHIM PROGRAM [ARG...]. Alternates, with vfork, so that
 * the size of this process does not matter.
 */
#include "bench.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;
static char **program;

static double run(void)
{
	posix_spawn_file_actions_t actions;
	uint64_t start;
	int status;
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	start = bench_now();
	NEED(posix_spawnp(&pid, program[0], &actions, NULL, program, environ) == 0);
	NEED(waitpid(pid, &status, 0) == pid && status == 0);
	posix_spawn_file_actions_destroy(&actions);
	return (double)(bench_now() - start) / 1000;
}

static double run_with(const char *library)
{
	double time;

	setenv("LD_PRELOAD", library, 1);
	time = run();
	unsetenv("LD_PRELOAD");
	return time;
}

int main(int argc, char **argv)
{
	unsigned pairs = argc > 4 ? (unsigned)atoi(argv[1]) : 0;
	double *without = calloc(pairs, sizeof(double)), *with = calloc(pairs, sizeof(double));
	double *difference = calloc(pairs, sizeof(double));
	struct bench_result result;

	NEED(pairs && without && with && difference);
	program = argv + 4;
	bench_pin((unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	run_with(argv[3]);
	for (unsigned i = 0; i < pairs; i++) {
		if (i % 2)
			with[i] = run_with(argv[3]);
		without[i] = run_with(argv[2]);
		if (i % 2 == 0)
			with[i] = run_with(argv[3]);
		difference[i] = with[i] - without[i];
	}
	result = bench_summary(without, with, difference, pairs);
	bench_print("start-up", &result);
	return 0;
}
