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

/* ---- ways that were walked ------------------------------------------------------------- */

#define WAYS 64

LARGE static struct way {
	uint32_t id; /* stored last */
	uint32_t count;
	bool fixed;			/* each frame is as large each time */
	uint32_t offsets[WALK_FRAMES];	/* from the base */
	uintptr_t words[WALK_FRAMES];
} ways[WAYS];
static uint32_t claimed;

/* What this thread has read of the stack that it was born with, which stays. */
static __thread struct {
	uintptr_t low, high;
} own;

/*
 * Of a way whose frames are all of a fixed size each word that is equal says where the
 * next one lies: no word is read that does not belong to a frame. Others are compared on
 * this thread's own stack alone, as far as it has been read before: deeper, or on another,
 * we do not guess how far it goes.
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

	for (uint32_t i = 0; i < count && i < WAYS; i++) {
		uint32_t id = __atomic_load_n(&ways[i].id, __ATOMIC_ACQUIRE);

		if (id && may_compare(&ways[i], base) && leads_here(&ways[i], base))
			return id;
	}
	return 0;
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

/* The word above a frame's saved frame pointer is its return address. */
static int first_above(uintptr_t base, const struct walk *walk)
{
	int first = 0;

	while (first < walk->count && walk->places[first] != base + sizeof(uintptr_t))
		first++;
	return first;
}

/* A way whose words are not those that were walked, such as one over a signal, is not kept. */
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
	/* another thread's first walk up a way that is known */
	if (walk_known(base) == id || __atomic_load_n(&claimed, __ATOMIC_RELAXED) >= WAYS)
		return;
	index = __atomic_fetch_add(&claimed, 1, __ATOMIC_RELAXED);
	if (index >= WAYS)
		return;
	way = &ways[index];
	way->fixed = walk->guessed <= first;
	fill(way, base, walk, first);
	__atomic_store_n(&way->id, id, __ATOMIC_RELEASE);
}
