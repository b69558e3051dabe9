/* SPDX-License-Identifier: Apache-2.0 */
/* One thread makes the handshake, another one reads: first in vain, then data. */
#include "common.h"

static void *reads(void *server)
{
	char text[8] = "";

	NEED(SSL_read(server, text, sizeof(text)) == -1);
	return server;
}

static void *reads_data(void *server)
{
	char text[8] = "";

	NEED(SSL_read(server, text, sizeof(text)) == 5);
	puts(text);
	return server;
}

int main(void)
{
	struct pair pair = bio_pair(0);
	pthread_t thread;

	NEED(finish(&pair));
	NEED(pthread_create(&thread, NULL, reads, pair.server) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	NEED(SSL_write(pair.client, "hello", 5) == 5);
	NEED(pthread_create(&thread, NULL, reads_data, pair.server) == 0);
	NEED(pthread_join(thread, NULL) == 0);
	pair_free(&pair);
	return 0;
}
