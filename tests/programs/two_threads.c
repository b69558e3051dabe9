/* SPDX-License-Identifier: Apache-2.0 */
/* Two threads take turns in the ops of one handshake. */
#include "common.h"

static struct pair pair;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn, last = SSL_ERROR_WANT_READ;

static void *take_turns(void *argument)
{
	int mine = *(int *)argument;

	pthread_mutex_lock(&lock);
	while (last != SSL_ERROR_NONE) {
		while (turn != mine && last != SSL_ERROR_NONE)
			pthread_cond_wait(&changed, &lock);
		if (last == SSL_ERROR_NONE)
			break;
		last = step(pair.client);
		step(pair.server);
		turn = !mine;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

int main(void)
{
	pthread_t threads[2];
	int numbers[2] = {0, 1};

	pair = bio_pair(0);
	for (int i = 0; i < 2; i++)
		NEED(pthread_create(&threads[i], NULL, take_turns, &numbers[i]) == 0);
	for (int i = 0; i < 2; i++)
		NEED(pthread_join(threads[i], NULL) == 0);
	NEED(finish(&pair));
	printf("%s\n", SSL_get_version(pair.client));
	pair_free(&pair);
	return 0;
}
