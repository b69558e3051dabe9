/* SPDX-License-Identifier: Apache-2.0 */
/* A server that keeps no state for a client until the client returns a cookie: SSL_stateless. */
#include "common.h"

static int make_cookie(SSL *ssl, unsigned char *cookie, size_t *length)
{
	(void)ssl;
	memcpy(cookie, "biscuit", 7);
	*length = 7;
	return 1;
}

static int check_cookie(SSL *ssl, const unsigned char *cookie, size_t length)
{
	(void)ssl;
	return length == 7 && !memcmp(cookie, "biscuit", 7);
}

static struct pair stateless_pair(void)
{
	struct pair pair = bio_pair(0);

	SSL_CTX_set_stateless_cookie_generate_cb(pair.server_ctx, make_cookie);
	SSL_CTX_set_stateless_cookie_verify_cb(pair.server_ctx, check_cookie);
	/* otherwise a record of its own precedes the second ClientHello */
	SSL_clear_options(pair.client, SSL_OP_ENABLE_MIDDLEBOX_COMPAT);
	set_role(&pair);
	NEED(step(pair.client) == SSL_ERROR_WANT_READ);
	return pair;
}

int main(void)
{
	struct pair pair = stateless_pair();

	printf("first: %d\n", SSL_stateless(pair.server));
	NEED(step(pair.client) == SSL_ERROR_WANT_READ);
	printf("second: %d\n", SSL_stateless(pair.server));
	printf("done: %d\n", finish(&pair));
	pair_free(&pair);

	pair = stateless_pair();
	printf("another client's: %d\n", SSL_stateless(pair.server));
	pair_free(&pair);
	return 0;
}
