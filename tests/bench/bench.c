/* SPDX-License-Identifier: Apache-2.0 */
/* Pairs of slices and their medians: see bench.h. */
#include "bench.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <math.h>
#include <sched.h>
#include <sys/mman.h>
#include <time.h>

struct functions plain, traced;

static void *libssl_itself(void)
{
	static const char *const names[] = {"libssl.so.3", "libssl.so.1.1"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		void *handle = dlopen(names[i], RTLD_NOW | RTLD_NOLOAD);

		if (handle)
			return handle;
	}
	NEED(!"libssl is loaded");
}

static void fill(struct functions *f, void *handle)
{
#define FIND(name) NEED(f->name = (__typeof__(f->name))dlsym(handle, #name));
	BENCH_FUNCTIONS(FIND)
#undef FIND
}

void bench_pin(unsigned cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void bench_start(void)
{
	fill(&plain, libssl_itself());
	fill(&traced, RTLD_DEFAULT);
	NEED(plain.SSL_do_handshake != traced.SSL_do_handshake); /* the shim is not preloaded? */
	bench_pin((unsigned)sysconf(_SC_NPROCESSORS_ONLN) - 1);
}

/* ---- the trace ------------------------------------------------------------------ */

static struct tlstall_header *map_trace(void)
{
	const char *directory = getenv("TLSTALL_DIR");
	char prefix[32], path[4096];
	struct dirent *entry;
	void *base;
	DIR *dir;
	int fd;

	NEED(directory && (dir = opendir(directory)));
	snprintf(prefix, sizeof(prefix), "%d-", getpid());
	while ((entry = readdir(dir)) && strncmp(entry->d_name, prefix, strlen(prefix)))
		;
	NEED(entry); /* the shim has made a trace */
	snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
	closedir(dir);
	NEED((fd = open(path, O_RDWR)) >= 0);
	base = mmap(NULL, sizeof(struct tlstall_header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	NEED(base != MAP_FAILED);
	close(fd);
	return base;
}

struct tlstall_header *bench_trace(void)
{
	static struct tlstall_header *header;

	if (!header)
		header = map_trace();
	return header;
}

void bench_mode(enum tlstall_mode mode)
{
	__atomic_store_n(&bench_trace()->control.mode, mode, __ATOMIC_SEQ_CST);
}

void bench_hook(SSL_CTX *ctx, const struct functions *f)
{
	static info_callback *hook; /* one for all contexts */
	info_callback *now = plain.SSL_CTX_get_info_callback(ctx);

	if (now)
		__atomic_store_n(&hook, now, __ATOMIC_RELAXED);
	else
		now = __atomic_load_n(&hook, __ATOMIC_RELAXED);
	NEED(now);
	plain.SSL_CTX_set_info_callback(ctx, f == &traced ? now : NULL);
}

uint64_t bench_trace_bytes(void)
{
	const struct tlstall_header *h = bench_trace();

	return (h->opening_head + h->rest_head) * sizeof(struct tlstall_event) +
	       h->handshakes * sizeof(struct tlstall_handshake);
}

uint64_t bench_history_bytes(void)
{
	return bench_trace()->history_head * sizeof(struct tlstall_summary);
}

/* ---- time ------------------------------------------------------------------------ */

static uint64_t nanoseconds(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t bench_now(void)
{
	return nanoseconds(CLOCK_MONOTONIC);
}

uint64_t bench_cpu(void)
{
	return nanoseconds(CLOCK_THREAD_CPUTIME_ID);
}

/* ---- pairs ------------------------------------------------------------------------ */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_result bench_summary(double *without, double *with, double *difference, unsigned pairs)
{
	unsigned half_width = (unsigned)(0.98 * sqrt(pairs)); /* in ranks, for 95 % */
	unsigned low = pairs / 2 > half_width ? pairs / 2 - half_width : 0;
	unsigned high = pairs / 2 + half_width < pairs ? pairs / 2 + half_width : pairs - 1;

	qsort(without, pairs, sizeof(*without), compare);
	qsort(with, pairs, sizeof(*with), compare);
	qsort(difference, pairs, sizeof(*difference), compare);
	return (struct bench_result){
		.plain = without[pairs / 2],
		.traced = with[pairs / 2],
		.difference = difference[pairs / 2],
		.low = difference[low],
		.high = difference[high],
		.quartile_low = difference[pairs / 4],
		.quartile_high = difference[pairs * 3 / 4],
		.pairs = pairs,
	};
}

static double one_slice(const struct bench *b, const struct functions *f)
{
	uint64_t (*clock)(void) = b->clock ? b->clock : bench_now;
	uint64_t start, end;

	if (b->prepare)
		b->prepare(f);
	start = clock();
	b->slice(f, b->calls);
	end = clock();
	if (b->finish)
		b->finish(f);
	return (double)(end - start) / b->calls;
}

struct bench_result bench_measure(const struct bench *b)
{
	double *times = calloc(b->pairs, 3 * sizeof(double));
	double *without = times, *with = times + b->pairs, *difference = times + 2 * b->pairs;
	struct bench_result result;

	NEED(times);
	one_slice(b, &plain); /* warm up */
	one_slice(b, &traced);
	for (unsigned i = 0; i < b->pairs; i++) {
		if (i % 2)
			with[i] = one_slice(b, &traced);
		without[i] = one_slice(b, &plain);
		if (i % 2 == 0)
			with[i] = one_slice(b, &traced);
		difference[i] = with[i] - without[i];
	}
	result = bench_summary(without, with, difference, b->pairs);
	free(times);
	return result;
}

void bench_print(const char *figure, const struct bench_result *r)
{
	printf("{\"figure\": \"%s\", \"plain\": %.3f, \"traced\": %.3f, \"difference\": %.3f, "
	       "\"low\": %.3f, \"high\": %.3f, \"quartiles\": [%.3f, %.3f], \"pairs\": %u}\n",
	       figure, r->plain, r->traced, r->difference, r->low, r->high, r->quartile_low,
	       r->quartile_high, r->pairs);
	fflush(stdout);
}

void bench_run(const struct bench *b)
{
	struct bench_result result = bench_measure(b);

	bench_print(b->figure, &result);
}

void bench_value(const char *figure, double value)
{
	printf("{\"figure\": \"%s\", \"value\": %.3f}\n", figure, value);
	fflush(stdout);
}
