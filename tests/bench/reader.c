/* SPDX-License-Identifier: Apache-2.0 */
/* How fast the reader library decodes a trace: million events per second, best of five. */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "trace/reader.h"

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static uint64_t read_all(struct trace *trace, uint64_t *sum)
{
	struct trace_cursor *cursor;
	struct tlstall_event event;
	uint64_t events = 0;

	if (trace_cursor_open(trace, &cursor))
		return 0;
	while (trace_cursor_next(cursor, &event) == 0) {
		*sum += event.ticks + event.slot;
		events++;
	}
	trace_cursor_close(cursor);
	return events;
}

int main(int argc, char **argv)
{
	double best = 0, start, rate;
	struct trace *trace;
	uint64_t events = 0, sum = 0;

	if (argc != 2 || trace_open_path(argv[1], &trace))
		return fputs("usage: reader TRACE\n", stderr), 2;
	for (int i = 0; i < 5; i++) {
		start = seconds();
		events = read_all(trace, &sum);
		rate = (double)events / (seconds() - start) / 1e6;
		best = rate > best ? rate : best;
	}
	trace_close(trace);
	printf("{\"value\": %.3f, \"events\": %llu, \"sum\": %llu}\n", best,
	       (unsigned long long)events, (unsigned long long)sum);
	return 0;
}
