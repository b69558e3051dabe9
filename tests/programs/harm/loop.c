/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes handshakes for argv[1] seconds, and argv[2] more; reports when
 * it has begun, and that all succeeded.
 */
#include "../common.h"

#include <time.h>

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

	once();
	puts("begun");
	fflush(stdout);
	while (now() < end)
		once();
	for (int i = 0; argc > 2 && i < atoi(argv[2]); i++)
		once();
	puts("ok");
	return 0;
}
