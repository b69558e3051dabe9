/* SPDX-License-Identifier: Apache-2.0 */
/* The length of the trace's ticks, and whether its clock can be trusted. */
#include "clock.h"
#include "mapping.h"

/* In ticks per millisecond. */
static uint64_t rate(const struct tlstall_clock_pair *a, const struct tlstall_clock_pair *b)
{
	uint64_t ticks = b->ticks - a->ticks, ns = b->monotonic_ns - a->monotonic_ns + 1;

	while (ticks >> 43) {
		ticks >>= 1;
		ns >>= 1;
	}
	return ticks * 1000000 / (ns | 1);
}

/* A suspend or migration shows as a different rate over the last stretch. */
static bool disturbed(const struct tlstall_header *h, const struct tlstall_clock_pair *now)
{
	uint64_t before = rate(&h->first, &h->last), lately = rate(&h->last, now);

	if (h->last.monotonic_ns - h->first.monotonic_ns < 50000000u ||
	    now->monotonic_ns - h->last.monotonic_ns < 50000000u)
		return false;
	return now->ticks < h->last.ticks || lately > before + before / 1000 ||
	       lately < before - before / 1000;
}

void mapping_keep_time(uint64_t ticks)
{
	struct tlstall_header *h = mapping.header;
	uint32_t sequence = __atomic_load_n(&h->last_sequence, __ATOMIC_ACQUIRE);
	struct tlstall_clock_pair now;

	if (ticks - __atomic_load_n(&h->last.ticks, __ATOMIC_RELAXED) < clock_rough_ticks(100000) ||
	    (sequence & 1))
		return;
	if (!__atomic_compare_exchange_n(&h->last_sequence, &sequence, sequence + 1, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return;
	now = clock_pair();
	if (disturbed(h, &now))
		h->clock_disturbed++;
	mapping_renew(h);
	h->last.realtime_ns = now.realtime_ns;
	h->last.monotonic_ns = now.monotonic_ns;
	__atomic_store_n(&h->last.ticks, now.ticks, __ATOMIC_RELAXED);
	__atomic_store_n(&h->last_sequence, sequence + 2, __ATOMIC_RELEASE);
}

static uint64_t measured, measured_ns, again;

static uint64_t ns_per_tick(uint64_t ticks_per_ms)
{
	return (uint64_t)((1000000ull << 32) / ticks_per_ms);
}

static void measure(uint64_t passed)
{
	struct tlstall_clock_pair now = clock_pair();
	uint64_t per_ms = rate(&mapping.first, &now) | 1;

	__atomic_store_n(&measured, per_ms, __ATOMIC_RELAXED);
	__atomic_store_n(&measured_ns, ns_per_tick(per_ms), __ATOMIC_RELAXED);
	__atomic_store_n(&again, passed + passed / 2, __ATOMIC_RELEASE);
}

/*
 * Measured again whenever the time since the start has grown by half: exact to four digits at
 * first, to more later. False: too early to measure.
 */
static bool is_measured(uint64_t ticks)
{
	uint64_t passed = ticks - mapping.first.ticks;

	if (__builtin_expect(passed < __atomic_load_n(&again, __ATOMIC_ACQUIRE), 1))
		return true;
	if (passed < clock_rough_ticks(100))
		return false;
	measure(passed);
	return true;
}

uint64_t mapping_ticks_per_ms(uint64_t ticks)
{
	if (clock_source == TLSTALL_CLOCK_MONOTONIC)
		return 1000000;
	return is_measured(ticks) ? __atomic_load_n(&measured, __ATOMIC_RELAXED)
				  : clock_rough_ticks(1000);
}

uint64_t mapping_ns_per_tick(uint64_t ticks)
{
	return is_measured(ticks) ? __atomic_load_n(&measured_ns, __ATOMIC_RELAXED)
				  : ns_per_tick(clock_rough_ticks(1000));
}
