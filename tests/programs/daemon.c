/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A textbook daemon: contexts and a first handshake, two forks with a new session in between, all
 * descriptors closed, then a handshake. It reports through the one pipe that it kept.
 */
#include "common.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define REPORT 9

static void shake_hands(const char *who)
{
	struct pair pair = bio_pair(0);
	bool good = finish(&pair);

	printf("%s handshake %d\n", who, good);
	pair_free(&pair);
}

static void become_daemon(void)
{
	NEED(setsid() > 0);
	if (fork())
		_exit(0);
	NEED(chdir("/") == 0);
	umask(022);
	for (int fd = 0; fd < 1024; fd++)
		if (fd != REPORT)
			close(fd);
	NEED(open("/dev/null", O_RDWR) == 0 && dup(0) == 1 && dup(0) == 2);
}

static void *wait_for_end(void *context)
{
	char byte;

	NEED(read(*(int *)context, &byte, 1) == 0);
	return NULL;
}

static int __attribute__((noinline)) run_daemon(void)
{
	struct pair before = bio_pair(0);

	become_daemon();
	NEED(dup2(REPORT, 1) == 1);
	printf("begun before %d\n", finish(&before));
	pair_free(&before);
	shake_hands("daemon's");
	print_descriptors();
	fflush(stdout);
	return 0;
}

int main(int argc, char **argv)
{
	int report[2], hold[2];
	char text[4096];
	ssize_t size;
	pthread_t thread;
	bool threaded = argc > 1 && !strcmp(argv[1], "threaded");

	shake_hands("first");
	fflush(stdout);
	NEED(pipe(report) == 0 && pipe(hold) == 0);
	/* the daemon's parent has threads */
	if (threaded)
		NEED(pthread_create(&thread, NULL, wait_for_end, &hold[0]) == 0);
	if (fork() == 0) {
		NEED(dup2(report[1], REPORT) == REPORT);
		return run_daemon();
	}
	close(report[1]);
	NEED(wait(NULL) > 0);
	while ((size = read(report[0], text, sizeof(text))) > 0)
		NEED(fwrite(text, 1, (size_t)size, stdout) == (size_t)size);
	close(hold[1]);
	if (threaded)
		NEED(pthread_join(thread, NULL) == 0);
	return 0;
}
