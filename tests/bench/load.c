/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A steady load to watch: load RATE SECONDS. RATE handshakes a second (each side of a connection
 * counts), resumed, over a BIO pair, so that the load leaves enough CPU time for the watcher.
 */
#include "programs/common.h"

#include <sys/resource.h>
#include <time.h>

static SSL_CTX *client_ctx, *server_ctx;
static SSL_SESSION *session;

static int keep_session(SSL *ssl, SSL_SESSION *fresh)
{
	(void)ssl;
	if (session)
		return 0;
	session = fresh;
	return 1;
}

static void contexts(void)
{
	client_ctx = client_context(TLS_client_method());
	server_ctx = server_context(TLS_server_method());
	SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION);
	SSL_CTX_set_session_cache_mode(client_ctx,
				       SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(client_ctx, keep_session);
}

static void connection(void)
{
	struct pair pair = {.client_fd = -1, .server_fd = -1};
	BIO *client, *server;

	NEED(pair.client = SSL_new(client_ctx));
	NEED(pair.server = SSL_new(server_ctx));
	NEED(BIO_new_bio_pair(&client, 0, &server, 0) == 1);
	SSL_set_bio(pair.client, client, client);
	SSL_set_bio(pair.server, server, server);
	set_role(&pair);
	if (session)
		SSL_set_session(pair.client, session);
	NEED(finish(&pair));
	/* a session is discarded if its connection is not shut down */
	SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_set_shutdown(pair.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair.client);
	SSL_free(pair.server);
}

static void add_ns(struct timespec *t, long ns)
{
	t->tv_nsec += ns;
	while (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
}

int main(int argc, char **argv)
{
	unsigned rate = argc == 3 ? (unsigned)atoi(argv[1]) : 0;
	unsigned long connections;
	struct rusage usage;
	struct timespec next;

	NEED(rate >= 20);
	connections = (unsigned long)rate * (unsigned)atoi(argv[2]) / 2;
	contexts();
	connection();
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (unsigned long i = 1; i < connections; i++) {
		connection();
		add_ns(&next, 2000000000l / rate);
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
	getrusage(RUSAGE_SELF, &usage);
	printf("{\"handshakes\": %lu, \"cpu_s\": %.6f}\n", connections * 2,
	       (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6);
	return 0;
}
