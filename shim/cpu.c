/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu.h"

#include "ask.h"
#include "clock.h"
#include "mapping.h"

/*
 * The maximum age of the last reading of this thread's CPU clock when a call begins, in
 * microseconds. CPU time since that reading counts as the call's, up to the call's duration.
 */
#define FRESH_US 50
#define FRESH_WITHOUT_BLOCKING_US 10000
/* Shorter calls, in microseconds, count as CPU time. */
#define LONG_US 20
#define LONG_WITHOUT_BLOCKING_US 1000

struct look {
	uint64_t ticks, cpu_ns;
};
static __thread struct look seen;
/* Earlier readings, for gaps in which the thread worked on other handshakes. */
#define HISTORY 16
static __thread struct {
	struct look looks[HISTORY];
	unsigned next;
} history;

/* Only if the kernel may be asked. */
static uint64_t look(uint64_t ticks)
{
	history.looks[history.next++ % HISTORY] = seen;
	seen.ticks = ticks;
	seen.cpu_ns = clock_cpu_ns();
	return seen.cpu_ns;
}

void cpu_enter(uint64_t ticks, bool may_block)
{
	uint64_t fresh = clock_rough_ticks(may_block ? FRESH_US : FRESH_WITHOUT_BLOCKING_US);

	if (ask_may() && ticks - seen.ticks > fresh)
		look(ticks);
}

uint64_t cpu_nanoseconds(uint64_t ticks, uint64_t now)
{
	if (clock_source == TLSTALL_CLOCK_MONOTONIC)
		return ticks;
	return (uint64_t)((unsigned __int128)ticks * mapping_ns_per_tick(now) >> 32);
}

uint64_t cpu_used(uint64_t enter, uint64_t leave, bool may_block)
{
	uint64_t longer = clock_rough_ticks(may_block ? LONG_US : LONG_WITHOUT_BLOCKING_US);
	uint64_t duration = cpu_nanoseconds(leave - enter, leave), before = seen.cpu_ns, used;

	if (leave - enter < longer)
		return duration;
	/* assume that a long call that may block was waiting */
	if (!ask_may())
		return may_block ? 0 : duration;
	used = look(leave) - before; /* wraps around after a fork, when the clock restarts */
	return used < duration ? used : duration;
}

/* The last reading that is not later than `ticks`; NULL: forgotten. */
static const struct look *look_before(uint64_t ticks)
{
	const struct look *found = &seen;

	for (unsigned i = 1; found->ticks > ticks; i++) {
		if (i > HISTORY)
			return NULL;
		found = &history.looks[(history.next - i) % HISTORY];
	}
	return found->ticks ? found : NULL;
}

bool cpu_since(uint64_t leave, uint64_t now, uint64_t *ns)
{
	const struct look *then = look_before(leave);
	uint64_t before, used, gap = cpu_nanoseconds(now - leave, now);

	if (!then || !ask_may())
		return false;
	before = then->cpu_ns + cpu_nanoseconds(leave - then->ticks, now);
	used = look(now);
	used = used > before ? used - before : 0;
	*ns = used < gap ? used : gap;
	return true;
}

uint64_t cpu_last(void)
{
	return seen.cpu_ns;
}

/* ---- mode `watch` --------------------------------------------------------------- */

/* How many calls are watched after a late one. */
#define WATCHED_CALLS 64
__thread unsigned cpu_watched;

void cpu_begin(void)
{
	static uint32_t begun;

	if (!__atomic_load_n(&begun, __ATOMIC_RELAXED) && ask_may() &&
	    !__atomic_exchange_n(&begun, 1, __ATOMIC_RELAXED))
		look(clock_ticks());
}

void cpu_watch(void)
{
	cpu_watched = WATCHED_CALLS;
}

bool cpu_is_watched(void)
{
	return cpu_watched && cpu_watched--;
}

/* Between the last reading and the call, the thread may have run all the time or not at all. */
bool cpu_between(uint64_t enter, uint64_t leave, uint64_t *ns)
{
	static const struct look never;
	const struct look *then = look_before(enter);
	uint64_t duration = cpu_nanoseconds(leave - enter, leave), now, most, least, between;

	*ns = 0;
	if (!ask_may())
		return false;
	if (!then)
		then = &never;
	between = then->ticks ? cpu_nanoseconds(enter - then->ticks, leave) : UINT64_MAX / 2;
	most = then->cpu_ns;
	now = look(leave);
	/* after a fork the clock restarts */
	most = now > most ? now - most : now;
	least = most > between ? most - between : 0;
	if (most > duration)
		most = duration;
	if (least > duration)
		least = duration;
	*ns = least + (most - least) / 2;
	return most - least <= duration / 4;
}
