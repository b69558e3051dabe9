/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three threads make handshakes over sockets until standard input ends; each line
 * of it is answered with the number of handshakes so far. A failed handshake or
 * an interrupted call ends the program.
 */
#include "../common.h"

#include <time.h>

static unsigned long done;
static bool over;

static void *serve(void *context)
{
	struct pair *pair = context;
	char byte;

	NEED(SSL_accept(pair->server) == 1);
	NEED(SSL_read(pair->server, &byte, 1) == 1);
	return NULL;
}

static void once(void)
{
	struct pair pair = tcp_pair(false);
	pthread_t server;

	NEED(pthread_create(&server, NULL, serve, &pair) == 0);
	NEED(SSL_connect(pair.client) == 1);
	NEED(nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL) == 0);
	NEED(SSL_write(pair.client, "x", 1) == 1);
	NEED(pthread_join(server, NULL) == 0);
	pair_free(&pair);
	__atomic_fetch_add(&done, 1, __ATOMIC_RELAXED);
}

static void *work(void *unused)
{
	while (!__atomic_load_n(&over, __ATOMIC_RELAXED))
		once();
	return unused;
}

int main(void)
{
	pthread_t threads[3];
	char byte;

	for (int i = 0; i < 3; i++)
		NEED(pthread_create(&threads[i], NULL, work, NULL) == 0);
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) == 1) {
		printf("%lu\n", __atomic_load_n(&done, __ATOMIC_RELAXED));
		fflush(stdout);
	}
	__atomic_store_n(&over, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		NEED(pthread_join(threads[i], NULL) == 0);
	puts("ok");
	return 0;
}
