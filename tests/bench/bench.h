/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the benchmark programs: libssl's own functions beside those that a program gets under
 * the shim, the control words of this process's trace, and pairs of slices, one without and one
 * with the shim, back to back.
 *
 * Each program runs with the shim preloaded and TLSTALL_REACH=none, so that dlsym returns the real
 * functions. Results go to standard output, one JSON object a line, in nanoseconds per call.
 */
#ifndef TESTS_BENCH_BENCH_H
#define TESTS_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "programs/common.h"
#include "tlstall/trace.h"

typedef void info_callback(const SSL *ssl, int where, int ret);

#define BENCH_FUNCTIONS(X)                                                                         \
	X(SSL_do_handshake)                                                                        \
	X(SSL_connect) X(SSL_accept) X(SSL_get_error) X(SSL_read) X(SSL_write) X(SSL_peek)         \
		X(SSL_shutdown) X(SSL_CTX_set_info_callback) X(SSL_CTX_get_info_callback)

struct functions {
#define MEMBER(name) __typeof__(&name) name;
	BENCH_FUNCTIONS(MEMBER)
#undef MEMBER
};

/* libssl's own functions, and those that symbol lookup finds: the shim's. */
extern struct functions plain, traced;

/* Fills the tables, pins the process to one CPU, opens the trace. */
void bench_start(void);
void bench_pin(unsigned cpu);
/* The header of this process's own trace. */
struct tlstall_header *bench_trace(void);
void bench_mode(enum tlstall_mode mode);
/* `plain` removes the shim's info callback from the context, `traced` sets it again. */
void bench_hook(SSL_CTX *ctx, const struct functions *f);
/* Bytes of events and handshakes in the trace so far. */
uint64_t bench_trace_bytes(void);
uint64_t bench_history_bytes(void); /* of quick, successful handshakes */

uint64_t bench_now(void); /* CLOCK_MONOTONIC, nanoseconds */
uint64_t bench_cpu(void); /* of this thread, nanoseconds */

/*
 * A pair is a slice with `plain` and one with `traced`, in alternating order. `prepare` and
 * `finish` run outside the measured time.
 */
struct bench {
	const char *figure;
	unsigned calls; /* per slice */
	unsigned pairs;
	uint64_t (*clock)(void); /* NULL: bench_now */
	void (*prepare)(const struct functions *f);
	void (*slice)(const struct functions *f, unsigned calls);
	void (*finish)(const struct functions *f);
};

/* The median difference with its 95 % confidence interval, and the quartiles. */
struct bench_result {
	double plain, traced, difference;
	double low, high, quartile_low, quartile_high;
	unsigned pairs;
};

struct bench_result bench_measure(const struct bench *bench);
/* Measures and prints. */
void bench_run(const struct bench *bench);
void bench_print(const char *figure, const struct bench_result *result);
/* From `pairs` differences; sorts them. */
struct bench_result bench_summary(double *without, double *with, double *difference,
				  unsigned pairs);
/* A single value that is not compared. */
void bench_value(const char *figure, double value);

#endif
