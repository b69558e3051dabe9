/* SPDX-License-Identifier: Apache-2.0 */
#include "attach/apart.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/place.h"

/* Ctrl-C and signals to our process group must not reach this child. */
static void be_apart(void)
{
	sigset_t all;

	setsid();
	place_end_watch();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	/* stopped threads must not wait for us on a busy machine; only root may do this */
	setpriority(PRIO_PROCESS, 0, -20);
}

void apart_run(void (*work)(const void *context, void *told), const void *context, void *told,
	       size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;

	if (shared == MAP_FAILED)
		return;
	memcpy(shared, told, size);
	child = fork();
	if (child == 0) {
		be_apart();
		work(context, shared);
		syscall(SYS_exit_group, 0);
	}
	while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
		continue;
	memcpy(told, shared, size);
	munmap(shared, size);
}
