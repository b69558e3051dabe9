/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes handshakes for argv[1] seconds or until SIGTERM, and argv[2] more;
 * reports when it has begun, and that all succeeded.
 */
#include "../common.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t told_to_end;

static void on_term(int sig)
{
	(void)sig;
	told_to_end = 1;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void once(void)
{
	struct pair pair = bio_pair(0);

	NEED(finish(&pair));
	pair_free(&pair);
}

int main(int argc, char **argv)
{
	double end = now() + (argc > 1 ? atof(argv[1]) : 0);

	signal(SIGTERM, on_term);
	once();
	puts("begun");
	fflush(stdout);
	while (!told_to_end && now() < end)
		once();
	for (int i = 0; argc > 2 && i < atoi(argv[2]); i++)
		once();
	puts("ok");
	return 0;
}
