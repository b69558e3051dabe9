/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All threads of a process make their first SSL_CTX at the same moment, half of them with an info
 * callback, and each finishes a handshake; in ten processes, one after the other. Then each thread
 * uses what its neighbor made.
 */
#include <sys/wait.h>

#include "common.h"

#define PROCESSES 10
#define THREADS 12

typedef void (*info_callback)(const SSL *ssl, int where, int ret);

static pthread_barrier_t start;
static struct pair pairs[THREADS];
static int told[THREADS];

static void on_info(const SSL *ssl, int where, int ret)
{
	int *count = SSL_get_app_data(ssl);

	(void)ret;
	if (count && (where & SSL_CB_HANDSHAKE_DONE))
		++*count;
}

static void *handshake(void *argument)
{
	int me = (int)(size_t)argument;
	struct pair *pair = &pairs[me];

	pthread_barrier_wait(&start);
	*pair = bio_pair(0);
	SSL_set_app_data(pair->client, &told[me]);
	if (me % 2)
		SSL_set_info_callback(pair->client, on_info);
	NEED(finish(pair));
	pthread_barrier_wait(&start);
	pair = &pairs[(me + 1) % THREADS];
	NEED(SSL_get_info_callback(pair->client) == (me % 2 ? (info_callback)NULL : on_info));
	pair_free(pair);
	return NULL;
}

static int process(void)
{
	pthread_t threads[THREADS];
	int done = 0, callbacks = 0;

	NEED(pthread_barrier_init(&start, NULL, THREADS) == 0);
	for (size_t i = 0; i < THREADS; i++)
		NEED(pthread_create(&threads[i], NULL, handshake, (void *)i) == 0);
	for (int i = 0; i < THREADS; i++) {
		NEED(pthread_join(threads[i], NULL) == 0);
		done++;
		callbacks += told[i];
	}
	printf("%d handshakes, %d told\n", done, callbacks);
	fflush(stdout);
	return 0;
}

int main(void)
{
	for (int i = 0; i < PROCESSES; i++) {
		int status;
		pid_t child = fork();

		NEED(child >= 0);
		if (!child)
			_exit(process());
		NEED(waitpid(child, &status, 0) == child && status == 0);
	}
	return 0;
}
