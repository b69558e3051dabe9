/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim adds to a call while many handshakes are in flight: rounds over all of them, one
 * call each, alternately with and without the shim. inflight COUNT...
 */
#include "bench.h"

#define WINDOW 10 /* calls in a slice: the next objects are not in the cache */

static SSL_CTX *ctx;
static SSL **ssls;
static unsigned count, at;

static SSL *waiting_server(void)
{
	SSL *ssl = SSL_new(ctx);

	NEED(ssl);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	SSL_set_accept_state(ssl);
	NEED(traced.SSL_do_handshake(ssl) < 0);
	return ssl;
}

static void next_ones(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++) {
		NEED(f->SSL_do_handshake(ssls[at]) < 0);
		at = at + 1 == count ? 0 : at + 1;
	}
}

static void prepare(const struct functions *f)
{
	bench_hook(ctx, f);
}

static void with_count(unsigned wanted)
{
	struct bench bench = {
		.calls = WINDOW,
		.pairs = wanted < 2000 ? 2000 : wanted / (2 * WINDOW),
		.prepare = prepare,
		.slice = next_ones,
	};
	struct bench_result result;
	char figure[32];

	if (count) /* an object made without the context's callback gets its own */
		bench_hook(ctx, &traced);
	while (count < wanted)
		ssls[count++] = waiting_server();
	at = 0;
	result = bench_measure(&bench);
	snprintf(figure, sizeof(figure), "in flight %u", count);
	bench_print(figure, &result);
}

int main(int argc, char **argv)
{
	bench_start();
	NEED(ctx = server_context(TLS_server_method()));
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	NEED(ssls = calloc((size_t)atoi(argv[argc - 1]), sizeof(*ssls)));
	for (int i = 1; i < argc; i++)
		with_count((unsigned)atoi(argv[i]));
	fflush(stdout);
	_exit(0); /* skips freeing 100,000 objects */
}
