/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread does between WANT_READ and the next call: compute, or sleep. */
#include <time.h>

#include "common.h"

#define GAP_NS 60000000

static uint64_t cpu_ns(void)
{
	struct timespec now;

	NEED(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void compute(void)
{
	for (uint64_t end = cpu_ns() + GAP_NS; cpu_ns() < end;)
		;
}

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = GAP_NS}, NULL);
}

static void run(const char *name, void (*gap)(void), bool resumed)
{
	struct pair pair = tcp_pair(true);

	set_role(&pair);
	NEED(step(pair.client) == SSL_ERROR_WANT_READ);
	gap();
	if (resumed)
		NEED(finish(&pair));
	printf("%s\n", name);
	pair_free(&pair);
}

int main(void)
{
	run("computed", compute, true);
	run("slept", rest, true);
	run("computed and gave up", compute, false);
	run("slept and gave up", rest, false);
	return 0;
}
