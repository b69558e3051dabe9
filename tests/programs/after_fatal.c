/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mistakes a fatal error for a retry: repeats the call again and
 * again, and never calls SSL_get_error.
 */
#include <time.h>

#include "common.h"

#define AGAIN 1000
#define BUSY_NS 50000 /* before each retry */

static void compute(void)
{
	struct timespec from, now;

	NEED(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from));
	do {
		NEED(!clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now));
	} while (now.tv_nsec - from.tv_nsec + (now.tv_sec - from.tv_sec) * 1000000000 < BUSY_NS);
}

int main(void)
{
	struct pair pair = tcp_pair(true);
	int ret = 0;

	set_role(&pair);
	NEED(SSL_set_max_proto_version(pair.client, TLS1_2_VERSION) == 1);
	NEED(SSL_set_min_proto_version(pair.server, TLS1_3_VERSION) == 1);
	NEED(step(pair.client) == SSL_ERROR_WANT_READ);
	NEED(step(pair.server) == SSL_ERROR_SSL);
	NEED(step(pair.client) == SSL_ERROR_SSL);
	for (int i = 0; i < AGAIN; i++) {
		compute();
		ret = SSL_connect(pair.client);
	}
	printf("client %d\n", ret);
	pair_free(&pair);
	return 0;
}
