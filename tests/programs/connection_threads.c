/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread for each connection, on the smallest possible stack; prints which descriptors are left.
 */
#include "common.h"

#include <limits.h>

#define CONNECTIONS 12
#define LEAST 65536 /* bytes; arm64's PTHREAD_STACK_MIN is larger */

static void *serve(void *context)
{
	struct pair *pair = context;

	return SSL_do_handshake(pair->server) == 1 ? pair : NULL;
}

static bool connection(void)
{
	struct pair pair = tcp_pair(false);
	pthread_attr_t attributes;
	pthread_t thread;
	void *good = NULL;

	NEED(pthread_attr_init(&attributes) == 0);
	NEED(pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN > LEAST ? (size_t)PTHREAD_STACK_MIN : LEAST) == 0);
	NEED(pthread_create(&thread, &attributes, serve, &pair) == 0);
	NEED(SSL_do_handshake(pair.client) == 1);
	NEED(pthread_join(thread, &good) == 0);
	pthread_attr_destroy(&attributes);
	pair_free(&pair);
	return good;
}

int main(void)
{
	unsigned good = 0;

	for (int i = 0; i < CONNECTIONS; i++)
		good += connection();
	printf("%u of %d\n", good, CONNECTIONS);
	print_descriptors();
	return 0;
}
