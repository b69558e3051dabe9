/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes handshakes until it is killed: argv[1] is single, threads, or
 * forks. Reports when it has begun.
 */
#include "../common.h"

#include <sys/wait.h>

#define TOGETHER 4

static void *shake_hands(void *unused)
{
	(void)unused;
	for (;;) {
		struct pair pair = bio_pair(0);

		NEED(finish(&pair));
		pair_free(&pair);
	}
}

static void in_threads(void)
{
	pthread_t thread;

	for (int i = 1; i < TOGETHER; i++)
		NEED(!pthread_create(&thread, NULL, shake_hands, NULL));
}

static void fork_again_and_again(void)
{
	for (;;) {
		pid_t child = fork();

		NEED(child >= 0);
		if (!child) {
			struct pair pair = bio_pair(0);

			NEED(finish(&pair));
			_exit(0);
		}
		NEED(waitpid(child, NULL, 0) == child);
	}
}

int main(int argc, char **argv)
{
	struct pair pair = bio_pair(0);

	NEED(argc == 2 && finish(&pair));
	pair_free(&pair);
	puts("begun");
	fflush(stdout);
	if (!strcmp(argv[1], "threads"))
		in_threads();
	if (!strcmp(argv[1], "forks"))
		fork_again_and_again();
	shake_hands(NULL);
	return 0;
}
