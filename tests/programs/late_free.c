/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSL objects freed late and elsewhere: in a forked child, in an exit handler, and in one that
 * runs after OpenSSL has cleaned up.
 */
#include <sys/wait.h>

#include "common.h"

static struct pair in_handler, after_cleanup;

static void at_exit_early(void)
{
	pair_free(&in_handler);
	printf("freed in an exit handler\n");
}

static void at_exit_late(void)
{
	SSL_free(after_cleanup.client);
	printf("freed after the cleanup\n");
}

int main(void)
{
	struct pair pair;
	int status;
	pid_t child;

	/* handlers run in reverse order: this one runs after OpenSSL's own */
	NEED(!atexit(at_exit_late));
	NEED(OPENSSL_init_ssl(0, NULL) == 1);
	setvbuf(stdout, NULL, _IOLBF, 0);

	pair = bio_pair(0);
	set_role(&pair);
	NEED(finish(&pair));
	child = fork();
	NEED(child >= 0);
	if (!child) {
		pair_free(&pair);
		printf("freed in the child\n");
		_exit(0);
	}
	NEED(waitpid(child, &status, 0) == child && !status);
	pair_free(&pair);

	in_handler = bio_pair(0);
	set_role(&in_handler);
	NEED(step(in_handler.client) == SSL_ERROR_WANT_READ);
	NEED(!atexit(at_exit_early));
	after_cleanup = bio_pair(0);
	set_role(&after_cleanup);
	NEED(step(after_cleanup.client) == SSL_ERROR_WANT_READ);
	return 0;
}
