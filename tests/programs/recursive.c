/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tries again by recursion, so that each op of the same object has a deeper frame than the one
 * before: the program's info callback is called as often as OpenSSL calls it.
 */
#include "common.h"

#define DEPTH 30

static int loops, exits;

static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	loops += !!(where & SSL_CB_LOOP);
	exits += !!(where & SSL_CB_EXIT);
}

/* Not inlined, and not a loop. */
static __attribute__((noinline)) int try_again(SSL *ssl, volatile int times)
{
	int ret = SSL_connect(ssl);

	if (ret != 1 && times > 1)
		ret = try_again(ssl, times - 1);
	return times ? ret : 0;
}

int main(void)
{
	struct pair pair = bio_pair(0);

	set_role(&pair);
	SSL_set_info_callback(pair.client, on_info);
	NEED(try_again(pair.client, DEPTH) == -1);
	printf("states %d, ops that ended %d\n", loops, exits);
	NEED(finish(&pair));
	printf("states %d, ops that ended %d\n", loops, exits);
	pair_free(&pair);
	return 0;
}
