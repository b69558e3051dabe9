/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim adds to one call: dormant, SSL_get_error, a handshake call that returns WANT,
 * reads and writes after the handshake. With `watch`: the recorded calls in that mode, while the
 * handshake is not late. calls [watch]
 */
#include "bench.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <time.h>

#define PAIRS 3000
#define QUICK 500 /* calls in a slice, when a call takes nanoseconds */

static struct pair finished, waiting;
static enum tlstall_mode mode;
static int sink;

static void get_error_of_success(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_get_error(finished.client, 1);
}

static void get_error_of_want(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_get_error(waiting.client, -1);
}

static void handshake_of_finished(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_do_handshake(finished.client);
}

static void handshake_want(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_do_handshake(waiting.client);
}

static void connect_want(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_connect(waiting.client);
}

static void read_nothing(const struct functions *f, unsigned calls)
{
	char byte;

	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_read(finished.client, &byte, 1);
}

static void write_to_nowhere(const struct functions *f, unsigned calls)
{
	for (unsigned i = 0; i < calls; i++)
		sink += f->SSL_write(finished.client, "x", 1);
}

/* Without the shim there is no info callback either, and no nested call. */
static void prepare(const struct functions *f)
{
	bench_hook(waiting.client_ctx, f);
	bench_hook(finished.client_ctx, f);
	bench_mode(f == &traced ? mode : TLSTALL_MODE_OFF);
}

/* ---- rows ----------------------------------------------------------------------- */

static void run(const char *figure, void (*slice)(const struct functions *, unsigned),
		unsigned calls)
{
	struct bench bench = {
		.figure = figure,
		.calls = calls,
		.pairs = PAIRS,
		.prepare = prepare,
		.slice = slice,
	};

	bench_run(&bench);
}

static void one_call_each(void)
{
	char byte;

	/* only the first read after the handshake is recorded */
	NEED(SSL_read(finished.client, &byte, 1) < 0);
	NEED(SSL_write(finished.server, "x", 1) == 1);
	NEED(SSL_read(finished.client, &byte, 1) == 1);
	BIO *nowhere = BIO_new(BIO_s_null());
	SSL_set0_wbio(finished.client, nowhere);
	NEED(SSL_do_handshake(waiting.client) < 0);
}

static void recorded_rows(enum tlstall_mode in)
{
	mode = in;
	run("SSL_get_error", get_error_of_want, QUICK);
	run("SSL_do_handshake WANT", handshake_want, 200);
	run("SSL_connect WANT", connect_want, 200);
}

static void rows(void)
{
	mode = TLSTALL_MODE_OFF;
	run("dormant SSL_get_error", get_error_of_success, QUICK);
	run("dormant SSL_do_handshake", handshake_of_finished, QUICK);
	run("dormant SSL_read", read_nothing, QUICK);
	recorded_rows(TLSTALL_MODE_ALL);
	mode = TLSTALL_MODE_HANDSHAKE;
	run("SSL_read after", read_nothing, QUICK);
	run("SSL_write after", write_to_nowhere, 200);
}

/* ---- what the parts cost on this machine ------------------------------------------- */

static int tcp[2];

static void cost(const char *figure, void (*part)(void), unsigned calls)
{
	double times[101];

	for (unsigned i = 0; i < 101; i++) {
		uint64_t start = bench_now();

		for (unsigned k = 0; k < calls; k++)
			part();
		times[i] = (double)(bench_now() - start) / calls;
	}
	bench_value(figure, bench_summary(times, (double[101]){0}, (double[101]){0}, 101).plain);
}

static void part_nothing(void)
{
	__asm__ volatile("" ::: "memory");
}

#if defined(__x86_64__)
static void part_counter(void)
{
	sink += (int)__builtin_ia32_rdtsc();
}
#endif

static void part_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
}

static void part_cpu_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
}

static void part_getpeername(void)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	getpeername(tcp[0], (struct sockaddr *)&address, &size);
}

static void part_tcp_info(void)
{
	char info[256];
	socklen_t size = sizeof(info);

	getsockopt(tcp[0], IPPROTO_TCP, TCP_INFO, info, &size);
}

static void part_fcntl(void)
{
	fcntl(tcp[0], F_GETFL);
}

static void part_atomic(void)
{
	static uint64_t counter;

	__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
}

static void floors(void)
{
	tcp_sockets(tcp, true);
	cost("floor: indirect call", part_nothing, 1000);
#if defined(__x86_64__)
	cost("floor: rdtsc", part_counter, 1000);
#endif
	cost("floor: clock_gettime", part_clock, 1000);
	cost("floor: thread CPU clock", part_cpu_clock, 200);
	cost("floor: getpeername", part_getpeername, 200);
	cost("floor: TCP_INFO", part_tcp_info, 200);
	cost("floor: fcntl", part_fcntl, 200);
	cost("floor: atomic add", part_atomic, 1000);
}

int main(int argc, char **argv)
{
	bool watch = argc > 1 && !strcmp(argv[1], "watch");

	bench_start();
	if (watch) {
		waiting = bio_pair(0);
		bench_mode(TLSTALL_MODE_WATCH);
		NEED(SSL_do_handshake(waiting.client) < 0);
		finished = bio_pair(0);
		recorded_rows(TLSTALL_MODE_WATCH);
		return 0;
	}
	floors();
	finished = bio_pair(0);
	NEED(finish(&finished));
	waiting = bio_pair(0);
	NEED(SSL_do_handshake(waiting.client) < 0);
	one_call_each();
	rows();
	return 0;
}
