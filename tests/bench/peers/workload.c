/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program that runs under each peer: SSL_do_handshake calls that return
 * WANT_READ, SSL_get_error calls, and whole handshakes over TCP with both sides in
 * this process. Prints medians, in nanoseconds.
 */
#include "programs/common.h"

#include <sched.h>
#include <time.h>

#define CALLS 20
#define SLICES 100
#define HANDSHAKES 400

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print_median(const char *name, double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), compare);
	printf("%s %.1f\n", name, values[count / 2]);
}

static void calls(SSL *ssl)
{
	double want[SLICES], error[SLICES];

	for (int i = 0; i < SLICES; i++) {
		uint64_t start = now(), middle;

		for (int k = 0; k < CALLS; k++)
			NEED(SSL_do_handshake(ssl) < 0);
		middle = now();
		for (int k = 0; k < CALLS; k++)
			NEED(SSL_get_error(ssl, -1) == SSL_ERROR_WANT_READ);
		want[i] = (double)(middle - start) / CALLS;
		error[i] = (double)(now() - middle) / CALLS;
	}
	print_median("SSL_do_handshake", want, SLICES);
	print_median("SSL_get_error", error, SLICES);
}

static double handshake(struct pair *pair)
{
	uint64_t start;
	int fds[2];
	double time;

	tcp_sockets(fds, true);
	NEED(pair->client = SSL_new(pair->client_ctx));
	NEED(pair->server = SSL_new(pair->server_ctx));
	NEED(SSL_set_fd(pair->client, fds[0]) == 1 && SSL_set_fd(pair->server, fds[1]) == 1);
	set_role(pair);
	start = now();
	NEED(finish(pair));
	time = (double)(now() - start);
	SSL_free(pair->client);
	SSL_free(pair->server);
	close(fds[0]);
	close(fds[1]);
	return time;
}

/* Moving between CPUs costs more than most of the peers. */
static void stay_on_one_cpu(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &set);
	NEED(sched_setaffinity(0, sizeof(set), &set) == 0);
}

int main(void)
{
	struct pair waiting = bio_pair(0), pair = bio_pair(0);
	double times[HANDSHAKES];

	stay_on_one_cpu();
	NEED(SSL_do_handshake(waiting.client) < 0);
	calls(waiting.client);
	SSL_free(pair.client);
	SSL_free(pair.server);
	for (int i = 0; i < HANDSHAKES; i++)
		times[i] = handshake(&pair);
	print_median("handshake", times, HANDSHAKES);
	return 0;
}
