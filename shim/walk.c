/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#include "large.h"
#include "unwind.h"

/* ---- frame by frame ------------------------------------------------------------------ */

static bool next(struct walk *walk, struct unwind *at)
{
	uintptr_t last = walk->count ? walk->places[walk->count - 1] : 0;

	if (!unwind_step(at, &walk->range))
		return false;
	if (!at->fixed)
		walk->guessed = walk->count;
	walk->plain = walk->plain && at->place > last;
	walk->frames[walk->count] = (void *)at->ip;
	walk->places[walk->count++] = at->place;
	return true;
}

__attribute__((noinline)) void walk_take(struct walk *walk, bool ask)
{
	struct unwind at;

	unwind_begin(&at);
	walk->count = 0;
	walk->guessed = -1;
	walk->plain = true;
	readable_begin(&walk->range, at.sp, ask);
	while (walk->count < WALK_FRAMES && next(walk, &at))
		;
}

/* ---- known paths ----------------------------------------------------------------------- */

#define WAYS 64	    /* that are compared */
#define WAYS_EVER 256 /* including forgotten ones, whose places other threads may be reading */

LARGE static struct way {
	uint32_t id; /* stored last */
	uint32_t count;
	bool fixed;			/* each frame always has the same size */
	uint32_t offsets[WALK_FRAMES];	/* from the base */
	uintptr_t words[WALK_FRAMES];
} ways[WAYS_EVER];
static uint32_t claimed, forgotten; /* of those claimed, the first ones */

/*
 * How much of its original stack this thread has read: it stays
 * readable as long as the thread exists.
 */
static __thread struct {
	uintptr_t low, high;
} own;

/*
 * If all frames of a path have a fixed size, each matching word proves where the next one lies, so
 * only words of real frames are read. Other paths are compared only within what this thread has
 * read of its own stack: beyond that, nothing says how far the stack goes.
 */
static bool may_compare(const struct way *way, uintptr_t base)
{
	return way->fixed ||
	       (base >= own.low && base + way->offsets[way->count - 1] < own.high);
}

__attribute__((no_sanitize("address", "thread"))) static bool leads_here(const struct way *way,
									 uintptr_t base)
{
	const uint32_t *offset = way->offsets;
	const uintptr_t *word = way->words, *end = word + way->count;

	while (*(const volatile uintptr_t *)(base + *offset++) == *word++) {
		if (word == end)
			return true;
	}
	return false;
}

uint32_t walk_known(uintptr_t base)
{
	uint32_t count = __atomic_load_n(&claimed, __ATOMIC_RELAXED);

	for (uint32_t i = __atomic_load_n(&forgotten, __ATOMIC_RELAXED); i < count && i < WAYS_EVER; i++) {
		uint32_t id = __atomic_load_n(&ways[i].id, __ATOMIC_ACQUIRE);

		if (id && may_compare(&ways[i], base) && leads_here(&ways[i], base))
			return id;
	}
	return 0;
}

static uint32_t places_taken(void)
{
	uint32_t count = __atomic_load_n(&claimed, __ATOMIC_RELAXED);

	return count < WAYS_EVER ? count : WAYS_EVER;
}

void walk_forget(void)
{
	__atomic_store_n(&forgotten, places_taken(), __ATOMIC_RELEASE);
}

static bool has_room(void)
{
	uint32_t count = places_taken();

	return count < WAYS_EVER && count - __atomic_load_n(&forgotten, __ATOMIC_RELAXED) < WAYS;
}

static void note_own(uintptr_t base, struct walk *walk)
{
	if (!readable_is_own_stack(&walk->range, base, walk->places[walk->count - 1]))
		return;
	if (own.high < walk->range.high)
		own.high = walk->range.high;
	if (!own.low || base < own.low)
		own.low = base;
}

__attribute__((no_sanitize("address", "thread"))) static void fill(struct way *way, uintptr_t base,
								   const struct walk *walk,
								   int first)
{
	for (int i = first; i < walk->count; i++) {
		way->offsets[way->count] = (uint32_t)(walk->places[i] - base);
		way->words[way->count++] = *(const volatile uintptr_t *)walk->places[i];
	}
}

/* The return address is the word above a frame's saved frame pointer. */
static int first_above(uintptr_t base, const struct walk *walk)
{
	int first = 0;

	while (first < walk->count && walk->places[first] != base + sizeof(uintptr_t))
		first++;
	return first;
}

/*
 * Does not keep a path whose return addresses are not all on the stack,
 * such as one through a signal handler.
 */
void walk_remember(uintptr_t base, struct walk *walk, uint32_t id)
{
	int first = first_above(base, walk);
	struct way *way;
	uint32_t index;

	if (!id || !walk->plain || first == walk->count ||
	    walk->places[walk->count - 1] - base > UINT32_MAX)
		return;
	note_own(base, walk);
	if (walk->guessed > first && !own.high)
		return;
	/* the path is known, but was new to this thread */
	if (walk_known(base) == id || !has_room())
		return;
	index = __atomic_fetch_add(&claimed, 1, __ATOMIC_RELAXED);
	if (index >= WAYS_EVER)
		return;
	way = &ways[index];
	way->fixed = walk->guessed <= first;
	fill(way, base, walk, first);
	__atomic_store_n(&way->id, id, __ATOMIC_RELEASE);
}
