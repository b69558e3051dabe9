/* SPDX-License-Identifier: Apache-2.0 */
/* Children made by fork, vfork and posix_spawn between the parent's handshakes. */
#include "common.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static int one_handshake(const char *who)
{
	struct pair pair = bio_pair(0);

	printf("%s %d\n", who, finish(&pair));
	fflush(stdout);
	pair_free(&pair);
	return 0;
}

static void await(pid_t child)
{
	int status;

	NEED(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
	char *arguments[] = {argv[0], NULL, NULL};
	pid_t child;

	if (argc > 1)
		return one_handshake(argv[1]);
	one_handshake("parent");
	child = fork();
	if (child == 0)
		exit(one_handshake("fork"));
	await(child);
	arguments[1] = (char *)"vfork";
	child = vfork();
	if (child == 0) {
		execv(argv[0], arguments);
		_exit(1);
	}
	await(child);
	arguments[1] = (char *)"posix_spawn";
	NEED(posix_spawn(&child, argv[0], NULL, NULL, arguments, environ) == 0);
	await(child);
	return one_handshake("parent");
}
