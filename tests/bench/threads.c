/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim adds to a call while 1 to 64 threads make such calls at once, each on its own SSL
 * object: a handshake call that returns WANT, then SSL_get_error. Measures the thread's CPU time,
 * so that waiting for a CPU does not count, but waiting for a cache line does.
 */
#include "bench.h"

#include <sched.h>

#define CALLS 100
#define PAIRS 400 /* minimum over all threads together */

static pthread_barrier_t together;
static unsigned pairs;

static __thread struct pair pair;

static void want_and_ask(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++) {
		int ret = f->SSL_do_handshake(pair.client);

		NEED(f->SSL_get_error(pair.client, ret) == SSL_ERROR_WANT_READ);
	}
}

static void prepare(const struct functions *f)
{
	bench_hook(pair.client_ctx, f);
}

static void *work(void *out)
{
	struct bench bench = {.calls = CALLS,
			      .pairs = pairs,
			      .clock = bench_cpu,
			      .prepare = prepare,
			      .slice = want_and_ask};

	pair = bio_pair(0);
	NEED(traced.SSL_do_handshake(pair.client) < 0);
	pthread_barrier_wait(&together);
	*(struct bench_result *)out = bench_measure(&bench);
	pair_free(&pair);
	return NULL;
}

static int by_difference(const void *a, const void *b)
{
	double x = ((const struct bench_result *)a)->difference;
	double y = ((const struct bench_result *)b)->difference;

	return (x > y) - (x < y);
}

static void with_threads(unsigned count)
{
	struct bench_result results[64], *middle = &results[count / 2];
	pthread_t threads[64];
	char figure[32];

	pairs = PAIRS / count < 100 ? 100 : PAIRS / count;
	pthread_barrier_init(&together, NULL, count);
	for (unsigned i = 0; i < count; i++)
		NEED(pthread_create(&threads[i], NULL, work, &results[i]) == 0);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	pthread_barrier_destroy(&together);
	qsort(results, count, sizeof(*results), by_difference);
	middle->low = results[0].difference;
	middle->high = results[count - 1].difference;
	middle->pairs *= count;
	snprintf(figure, sizeof(figure), "threads %u", count);
	bench_print(figure, middle);
}

static void use_all_cpus(void)
{
	cpu_set_t all;

	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
}

int main(void)
{
	bench_start();
	use_all_cpus();
	for (unsigned count = 1; count <= 64; count *= count == 1 ? 2 : count == 2 ? 4 : 8)
		with_threads(count);
	return 0;
}
