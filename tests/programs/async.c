/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SSL_MODE_ASYNC: the handshake runs as a job on its own stack. A callback pauses the job twice,
 * and drives another connection's handshake from there.
 */
#include <openssl/async.h>

#include "common.h"

static struct pair other;
static int paused;

static int pause_in_the_middle(X509_STORE_CTX *store, void *argument)
{
	(void)store, (void)argument;
	while (paused < 2) {
		printf("pausing, other %s\n", error_name(step(other.client)));
		paused++;
		ASYNC_pause_job();
	}
	return 1;
}

int main(void)
{
	struct pair pair = bio_pair(0);
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ;

	other = bio_pair(0);
	if (!ASYNC_is_capable())
		return 0;
	SSL_set_mode(pair.client, SSL_MODE_ASYNC);
	SSL_CTX_set_cert_verify_callback(pair.client_ctx, pause_in_the_middle, NULL);
	SSL_set_verify(pair.client, SSL_VERIFY_PEER, NULL);
	while (client != SSL_ERROR_NONE || server != SSL_ERROR_NONE) {
		if (client != SSL_ERROR_NONE) {
			client = step(pair.client);
			printf("client %s\n",
			       client == SSL_ERROR_WANT_ASYNC ? "WANT_ASYNC" : error_name(client));
		}
		if (server != SSL_ERROR_NONE)
			server = step(pair.server);
		NEED(client != SSL_ERROR_SSL && server != SSL_ERROR_SSL);
	}
	printf("other finished %d\n", finish(&other));
	pair_free(&pair);
	pair_free(&other);
	return 0;
}
