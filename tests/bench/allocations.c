/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Allocations during the calls of a handshake, and private memory at the end; run with and without
 * the shim, with count_malloc.so preloaded.
 */
#include "programs/common.h"

#include <dlfcn.h>

static uint64_t *counter;
static uint64_t in_calls;

static bool advance(SSL *ssl)
{
	uint64_t before = *counter;
	int ret = SSL_do_handshake(ssl);
	int error = SSL_get_error(ssl, ret);

	in_calls += *counter - before;
	NEED(ret == 1 || error == SSL_ERROR_WANT_READ);
	return ret == 1;
}

static void shake(struct pair *pair)
{
	bool client = false, server = false;

	while (!client || !server) {
		if (!client)
			client = advance(pair->client);
		if (!server)
			server = advance(pair->server);
	}
}

static void set_ends(struct pair *pair)
{
	BIO *client, *server;

	SSL_free(pair->client);
	SSL_free(pair->server);
	NEED(pair->client = SSL_new(pair->client_ctx));
	NEED(pair->server = SSL_new(pair->server_ctx));
	NEED(BIO_new_bio_pair(&client, 0, &server, 0) == 1);
	SSL_set_bio(pair->client, client, client);
	SSL_set_bio(pair->server, server, server);
	set_role(pair);
}

/* Private pages; those of a mapped trace are shared. */
static long private_kb(void)
{
	FILE *rollup = fopen("/proc/self/smaps_rollup", "r");
	long total = 0, kb;
	char line[256];

	NEED(rollup);
	while (fgets(line, sizeof(line), rollup)) {
		if (sscanf(line, "Anonymous: %ld kB", &kb) == 1)
			total += kb;
	}
	fclose(rollup);
	return total;
}

int main(void)
{
	struct pair pair;
	uint64_t first;

	NEED(counter = dlsym(RTLD_DEFAULT, "allocations"));
	pair = bio_pair(0);
	shake(&pair);
	first = in_calls;
	for (int i = 0; i < 100; i++) {
		set_ends(&pair);
		shake(&pair);
	}
	printf("{\"allocations\": %llu, \"private_kb\": %ld}\n",
	       (unsigned long long)(in_calls - first), private_kb());
	return 0;
}
