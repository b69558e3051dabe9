/* SPDX-License-Identifier: Apache-2.0 */
/*
 * locked_loader first|later: forks while another thread walks over the loaded objects, as an
 * unwinder does: in the child, the loader's lock stays locked. The child looks up functions, sets a
 * signal handler and makes a handshake; with `later`, the parent makes one before.
 */
#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "../common.h"

static int walking[2], done[2];

static int hold(struct dl_phdr_info *info, size_t size, void *context)
{
	char byte = 0;

	(void)info, (void)size, (void)context;
	NEED(write(walking[1], &byte, 1) == 1);
	NEED(read(done[0], &byte, 1) == 1);
	return 1;
}

static void *walk(void *context)
{
	dl_iterate_phdr(hold, NULL);
	return context;
}

static void shake(const char *who)
{
	struct pair pair = bio_pair(0);

	set_role(&pair);
	printf("%s: handshake %s\n", who, finish(&pair) ? "done" : "failed");
	fflush(stdout);
	pair_free(&pair);
}

static void live(void *libssl)
{
	struct sigaction action = {.sa_handler = SIG_IGN};

	alarm(10);
	NEED(dlsym(libssl, "SSL_CTX_new") && dlsym(libssl, "SSL_connect"));
	NEED(!dlsym(libssl, "SSL_that_does_not_exist"));
	NEED(!sigaction(SIGUSR1, &action, NULL));
	NEED(!prctl(PR_SET_NAME, "child"));
	shake("child");
	_exit(0);
}

int main(int argc, char **argv)
{
	void *libssl = dlopen(NULL, RTLD_NOW);
	pthread_t thread;
	int status;
	char byte;
	pid_t pid;

	NEED(argc > 1 && libssl && !pipe(walking) && !pipe(done));
	if (!strcmp(argv[1], "later"))
		shake("parent");
	NEED(!pthread_create(&thread, NULL, walk, NULL) && read(walking[0], &byte, 1) == 1);
	pid = fork();
	if (!pid)
		live(libssl);
	NEED(waitpid(pid, &status, 0) == pid && write(done[1], &byte, 1) == 1);
	pthread_join(thread, NULL);
	printf("child: %s\n", status ? "killed" : "ended");
	return 0;
}
