/* SPDX-License-Identifier: Apache-2.0 */
/*
 * soak SECONDS THREADS IN-FLIGHT: keeps IN-FLIGHT handshakes in flight, counting both ends of each
 * connection; each thread finishes its oldest one and begins another. Some are abandoned, some
 * fail. Prints a line of figures ten times.
 */
#include <dirent.h>
#include <time.h>

#include "../programs/common.h"

#define MAX_THREADS 256

static SSL_CTX *client_ctx, *server_ctx, *refused_ctx;
static _Atomic bool stop;
static _Atomic unsigned long done, failed, abandoned;
static int pairs_each;

struct ends {
	SSL *client, *server;
};

static void begin(struct ends *ends, unsigned number)
{
	BIO *a, *b;

	ends->client = SSL_new(number % 50 == 7 ? refused_ctx : client_ctx);
	ends->server = SSL_new(server_ctx);
	NEED(ends->client && ends->server && BIO_new_bio_pair(&a, 4096, &b, 4096));
	SSL_set_bio(ends->client, a, a);
	SSL_set_bio(ends->server, b, b);
	SSL_set_connect_state(ends->client);
	SSL_set_accept_state(ends->server);
	NEED(step(ends->client) == SSL_ERROR_WANT_READ);
	step(ends->server);
}

static void end(struct ends *ends, unsigned number)
{
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ;

	if (number % 20 == 3) {
		abandoned += 1;
	} else {
		for (int i = 0; i < 20 && (client != SSL_ERROR_NONE || server != SSL_ERROR_NONE); i++) {
			client = step(ends->client);
			server = step(ends->server);
		}
		if (client == SSL_ERROR_NONE && server == SSL_ERROR_NONE)
			done += 1;
		else
			failed += 1;
	}
	ERR_clear_error();
	SSL_free(ends->client);
	SSL_free(ends->server);
}

static void *work(void *argument)
{
	struct ends *ends = calloc((size_t)pairs_each, sizeof(*ends));
	unsigned number = 0;

	(void)argument;
	NEED(ends);
	for (int i = 0; i < pairs_each; i++)
		begin(&ends[i], number++);
	for (unsigned oldest = 0; !stop; oldest = (oldest + 1) % (unsigned)pairs_each) {
		end(&ends[oldest], number++);
		begin(&ends[oldest], number);
	}
	for (int i = 0; i < pairs_each; i++)
		end(&ends[i], number++);
	free(ends);
	return NULL;
}

static long status(const char *what)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256], format[64];
	long value = -1;

	NEED(file);
	snprintf(format, sizeof(format), "%s: %%ld", what);
	while (fgets(line, sizeof(line), file))
		sscanf(line, format, &value);
	fclose(file);
	return value;
}

static int descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = -3; /* minus this directory's own descriptor, "." and ".." */

	NEED(directory);
	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void figures(void)
{
	printf("done %lu failed %lu abandoned %lu anonymous %ld file %ld descriptors %d threads %ld\n", done, failed,
	       abandoned, status("RssAnon"), status("RssFile") + status("RssShmem"), descriptors(), status("Threads"));
	fflush(stdout);
}

int main(int argc, char **argv)
{
	int seconds = argc > 1 ? atoi(argv[1]) : 5, threads = argc > 2 ? atoi(argv[2]) : 64;
	int in_flight = argc > 3 ? atoi(argv[3]) : 10000;
	pthread_t ids[MAX_THREADS];

	NEED(threads > 0 && threads <= MAX_THREADS);
	pairs_each = in_flight / 2 / threads;
	NEED(pairs_each > 0);
	client_ctx = client_context(TLS_client_method());
	server_ctx = server_context(TLS_server_method());
	refused_ctx = client_context(TLS_client_method());
	SSL_CTX_set_verify(refused_ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_session_cache_mode(server_ctx, SSL_SESS_CACHE_OFF);
	for (int i = 0; i < threads; i++)
		NEED(pthread_create(&ids[i], NULL, work, NULL) == 0);
	for (int i = 0; i < 10; i++) {
		struct timespec tenth = {seconds / 10, seconds % 10 * 100000000l};

		nanosleep(&tenth, NULL);
		figures();
	}
	stop = true;
	for (int i = 0; i < threads; i++)
		NEED(pthread_join(ids[i], NULL) == 0);
	SSL_CTX_free(client_ctx);
	SSL_CTX_free(server_ctx);
	SSL_CTX_free(refused_ctx);
	printf("end\n");
	return 0;
}
