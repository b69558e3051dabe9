/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child by vfork sets no_new_privs, and a filter that allows everything, before it executes a
 * program. The parent's next handshake is observed like the first.
 */
#include "common.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static void shake_hands(void)
{
	struct pair pair = tcp_pair(true);

	set_role(&pair);
	NEED(finish(&pair));
	pair_free(&pair);
}

static void filter(void)
{
	struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
	struct sock_fprog program = {1, &allow};

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0);
}

int main(void)
{
	int status = -1;
	pid_t child;

	shake_hands();
	child = vfork();
	if (child == 0) {
		filter();
		execl("/bin/true", "true", (char *)NULL);
		_exit(1);
	}
	NEED(waitpid(child, &status, 0) == child && status == 0);
	NEED(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	shake_hands();
	puts("done");
	return 0;
}
