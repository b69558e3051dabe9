/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim adds to a whole handshake, both sides in one process: handshake
 * memory|tcp all|watch PAIRS. Without the shim means libssl's own functions and no
 * info callback, on the same contexts.
 */
#include "bench.h"

static struct pair pair;
static bool over_tcp;
static enum tlstall_mode mode;
static int fds[2];

static void make_ends(void)
{
	BIO *client, *server;

	NEED(pair.client = SSL_new(pair.client_ctx));
	NEED(pair.server = SSL_new(pair.server_ctx));
	if (over_tcp) {
		tcp_sockets(fds, true);
		NEED(SSL_set_fd(pair.client, fds[0]) == 1 && SSL_set_fd(pair.server, fds[1]) == 1);
	} else {
		NEED(BIO_new_bio_pair(&client, 0, &server, 0) == 1);
		SSL_set_bio(pair.client, client, client);
		SSL_set_bio(pair.server, server, server);
	}
	set_role(&pair);
}

static void prepare(const struct functions *f)
{
	bench_hook(pair.client_ctx, f);
	bench_hook(pair.server_ctx, f);
	bench_mode(f == &traced ? mode : TLSTALL_MODE_OFF);
	make_ends();
}

static bool advance(const struct functions *f, SSL *ssl)
{
	int ret = f->SSL_do_handshake(ssl);

	if (ret == 1)
		return true;
	NEED(f->SSL_get_error(ssl, ret) == SSL_ERROR_WANT_READ);
	return false;
}

static void shake(const struct functions *f, unsigned calls)
{
	bool client = false, server = false;

	(void)calls;
	while (!client || !server) {
		if (!client)
			client = advance(f, pair.client);
		if (!server)
			server = advance(f, pair.server);
	}
}

static void finish_ends(const struct functions *f)
{
	(void)f;
	SSL_free(pair.client);
	SSL_free(pair.server);
	if (over_tcp) {
		close(fds[0]);
		close(fds[1]);
	}
}

/* How much of the trace the handshakes of one pair take; each side has half. */
static void trace_bytes(void)
{
	uint64_t before, history;

	prepare(&traced);
	before = bench_trace_bytes();
	history = bench_history_bytes();
	shake(&traced, 1);
	finish_ends(&traced);
	bench_value(over_tcp ? "trace bytes of a pair, tcp" : "trace bytes of a pair, memory",
		    (double)(bench_trace_bytes() - before));
	bench_value("history bytes of a pair", (double)(bench_history_bytes() - history));
}

int main(int argc, char **argv)
{
	char figure[64];
	struct bench bench = {
		.figure = figure,
		.calls = 1,
		.prepare = prepare,
		.slice = shake,
		.finish = finish_ends,
	};

	NEED(argc == 4);
	over_tcp = !strcmp(argv[1], "tcp");
	mode = !strcmp(argv[2], "watch") ? TLSTALL_MODE_WATCH : TLSTALL_MODE_ALL;
	snprintf(figure, sizeof(figure), "handshake, %s, %s", argv[1], argv[2]);
	bench.pairs = (unsigned)atoi(argv[3]);
	bench_start();
	pair.client_ctx = client_context(TLS_client_method());
	pair.server_ctx = server_context(TLS_server_method());
	prepare(&traced);
	shake(&traced, 1);
	finish_ends(&traced);
	bench_run(&bench);
	trace_bytes();
	bench_value("record bytes", bench_trace()->section[TLSTALL_SECTION_REST].entry_size);
	return 0;
}
