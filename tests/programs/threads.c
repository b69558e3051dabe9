/* SPDX-License-Identifier: Apache-2.0 */
/* Eight threads at once, with twenty handshakes each. */
#include "common.h"

#define THREADS 8
#define EACH 20

static void *handshakes(void *argument)
{
	int *done = argument;

	for (int i = 0; i < EACH; i++) {
		struct pair pair = bio_pair(0);

		*done += finish(&pair);
		pair_free(&pair);
	}
	return NULL;
}

int main(void)
{
	pthread_t threads[THREADS];
	int done[THREADS] = {0};

	for (int i = 0; i < THREADS; i++)
		NEED(pthread_create(&threads[i], NULL, handshakes, &done[i]) == 0);
	for (int i = 0; i < THREADS; i++) {
		NEED(pthread_join(threads[i], NULL) == 0);
		printf("thread %d: %d\n", i, done[i]);
	}
	return 0;
}
