/* SPDX-License-Identifier: Apache-2.0 */
/* A program without a free descriptor before its first handshake; it lives until its input ends. */
#include "common.h"

#include <sys/resource.h>

int main(void)
{
	const struct rlimit few = {64, 64};

	NEED(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (dup(STDERR_FILENO) >= 0)
		;
	printf("errno %d\n", errno);
	fflush(stdout);
	struct pair pair = bio_pair(0);
	set_role(&pair);
	printf("finished %d\n", finish(&pair));
	fflush(stdout);
	while (getchar() != EOF)
		;
	pair_free(&pair);
	return 0;
}
