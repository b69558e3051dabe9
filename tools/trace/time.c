/* SPDX-License-Identifier: Apache-2.0 */
/* Converts ticks to time, by two instants at which all three clocks were read. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "now.h"
#include "trace/host.h"
#include "trace/internal.h"

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* Pairs closer together than this give too imprecise a length of a tick. */
#define LEAST_SPAN_NS 10000000u

/* ---- this host's clocks --------------------------------------------------- */

uint64_t time_monotonic_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

/* 0: this machine has no such counter. */
static uint64_t read_ticks(uint32_t source)
{
#if defined(__x86_64__)
	if (source == TLSTALL_CLOCK_TSC)
		return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	if (source == TLSTALL_CLOCK_CNTVCT)
		return ticks;
#endif
	return source == TLSTALL_CLOCK_MONOTONIC ? now_ns(CLOCK_MONOTONIC) : 0;
}

struct tlstall_clock_pair trace_read_clock(const struct trace *trace)
{
	const uint32_t source = trace->header.clock_source;
	struct tlstall_clock_pair best = {0};
	/* the trace's clock may belong to another time namespace */
	int64_t ahead = trace->header.monotonic_offset_ns - host_monotonic_offset_ns();
	uint64_t narrowest = UINT64_MAX;

	/* we may be interrupted between readings: the narrowest attempt is used */
	for (int i = 0; i < 5; i++) {
		struct tlstall_clock_pair pair;
		uint64_t before = read_ticks(source), width;

		pair.monotonic_ns = now_ns(CLOCK_MONOTONIC) + (uint64_t)ahead;
		pair.realtime_ns = now_ns(CLOCK_REALTIME);
		width = read_ticks(source) - before;
		pair.ticks = before + width / 2;
		if (source == TLSTALL_CLOCK_MONOTONIC)
			pair.ticks += (uint64_t)ahead;
		if (width < narrowest) {
			narrowest = width;
			best = pair;
		}
	}
	return best;
}

bool time_same_boot(const struct tlstall_header *header)
{
	static char id[sizeof(header->boot_id)];
	ssize_t size;
	int fd;

	if (!id[0]) {
		fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
		size = fd < 0 ? -1 : read(fd, id, sizeof(id) - 1);
		if (fd >= 0)
			close(fd);
		id[size > 0 ? size : 0] = '\0';
		id[strcspn(id, "\n")] = '\0';
	}
	return id[0] && !strncmp(id, header->boot_id, sizeof(id));
}

bool trace_is_local(const struct trace *trace)
{
	return trace->local;
}

/* ---- conversion ------------------------------------------------------------- */

/* Nanoseconds per tick between two pairs; 0: not known. */
static double measure(const struct tlstall_clock_pair *a, const struct tlstall_clock_pair *b)
{
	double length;

	if (b->ticks <= a->ticks || b->monotonic_ns < a->monotonic_ns ||
	    b->monotonic_ns - a->monotonic_ns < LEAST_SPAN_NS)
		return 0;
	length = (double)(b->monotonic_ns - a->monotonic_ns) / (double)(b->ticks - a->ticks);
	/* no counter ticks faster than 20 GHz or slower than 100 kHz: such a pair is wrong */
	return length > 0.05 && length < 10000 ? length : 0;
}

static double nominal(uint32_t source)
{
	switch ((enum tlstall_clock_source)source) {
	case TLSTALL_CLOCK_MONOTONIC:
		return 1;
	case TLSTALL_CLOCK_TSC:
		return 0.4;
	case TLSTALL_CLOCK_CNTVCT:
		return 20;
	}
	return 1;
}

static double tick_length(const struct trace *trace)
{
	const struct tlstall_header *h = &trace->header;
	double length = trace->now_known ? measure(&h->first, &trace->now) : 0;
	struct tlstall_clock_pair here;

	if (h->clock_source == TLSTALL_CLOCK_MONOTONIC)
		return 1;
	if (length <= 0)
		length = measure(&h->first, &h->last);
	if (length <= 0 && trace->local) {
		/* the process ended before it took a second pair, but its counter still runs */
		here = trace_read_clock(trace);
		length = measure(&h->first, &here);
	}
	return length > 0 ? length : nominal(h->clock_source);
}

void time_settle(struct trace *trace)
{
	trace->ns_per_tick = tick_length(trace);
	trace->anchor = trace->now_known ? trace->now : trace->header.last;
}

void trace_set_now(struct trace *trace, struct tlstall_clock_pair now)
{
	if (!now.ticks) /* this host has no such clock */
		return;
	trace->now = now;
	trace->now_known = true;
	time_settle(trace);
}

uint64_t trace_span_ns(const struct trace *trace, uint64_t ticks)
{
	double ns = (double)ticks * trace->ns_per_tick;

	return ns < 0x1p63 ? (uint64_t)ns : (uint64_t)INT64_MAX;
}

/* Readers of our output count in 64 bits with a sign. */
static uint64_t credible(uint64_t ns)
{
	return ns < TRACE_LAST_NS ? ns : TRACE_LAST_NS;
}

uint64_t trace_realtime_ns(const struct trace *trace, uint64_t ticks)
{
	const struct tlstall_clock_pair *anchor = &trace->anchor;
	uint64_t then = credible(anchor->realtime_ns), span;

	if (ticks >= anchor->ticks)
		return credible(then + trace_span_ns(trace, ticks - anchor->ticks));
	span = trace_span_ns(trace, anchor->ticks - ticks);
	return span < then ? then - span : 0;
}

uint64_t trace_start_ns(const struct trace *trace, const struct tlstall_handshake *h)
{
	/* not recorded before format 1.3: as exact as the clocks' rates are known now */
	return h->start_realtime_ns ? credible(h->start_realtime_ns)
				    : trace_realtime_ns(trace, h->start);
}
