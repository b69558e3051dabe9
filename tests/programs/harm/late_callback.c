/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contexts that the shim did not see being made: no trace could be, for lack of a descriptor. Their
 * callbacks are set before the first call, and in the middle of a handshake.
 */
#include "../common.h"

#include <sys/resource.h>

static int first, second;

static void count_first(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)where, (void)ret;
	first++;
}

static void count_second(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)where, (void)ret;
	second++;
}

static struct pair made_without_descriptors(void)
{
	const struct rlimit few = {64, 64};
	struct pair pair;

	NEED(setrlimit(RLIMIT_NOFILE, &few) == 0);
	while (dup(STDERR_FILENO) >= 0)
		;
	pair = bio_pair(0);
	for (int fd = STDERR_FILENO + 1; fd < 64; fd++)
		close(fd);
	usleep(200000); /* until the shim tries again */
	return pair;
}

static void show(const char *when, const struct pair *pair)
{
	printf("%s: called %d, %d; the objects have %s callback of their own\n", when, first, second,
	       SSL_get_info_callback(pair->client) || SSL_get_info_callback(pair->server) ? "a" : "no");
}

int main(void)
{
	struct pair pair = made_without_descriptors();

	SSL_CTX_set_info_callback(pair.client_ctx, count_first);
	printf("client %s\n", error_name(step(pair.client)));
	show("begun", &pair);
	printf("server %s\n", error_name(step(pair.server)));
	SSL_CTX_set_info_callback(pair.client_ctx, count_second);
	SSL_CTX_set_info_callback(pair.server_ctx, count_second);
	printf("finished %d\n", finish(&pair));
	show("ended", &pair);
	pair_free(&pair);
	return 0;
}
