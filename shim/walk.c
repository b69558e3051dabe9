/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

#if defined(__x86_64__)
#include <string.h>
#include <ucontext.h>

/* ---- libunwind's steps ---------------------------------------------------------- */

enum { REGISTER_SP = 7, REGISTER_IP = 16 }; /* UNW_X86_64_RSP, UNW_X86_64_RIP */

/* unw_cursor_t is 127 words */
struct cursor {
	uint64_t words[192];
};

static struct {
	int (*getcontext)(ucontext_t *context);
	int (*init_local)(struct cursor *cursor, ucontext_t *context);
	int (*step)(struct cursor *cursor);
	int (*get_reg)(struct cursor *cursor, int number, uint64_t *value);
} unwinder;

bool walk_load(const struct elf_object *libunwind)
{
	*(void **)&unwinder.getcontext = elf_symbol(libunwind, "_Ux86_64_getcontext");
	*(void **)&unwinder.init_local = elf_symbol(libunwind, "_ULx86_64_init_local");
	*(void **)&unwinder.step = elf_symbol(libunwind, "_ULx86_64_step");
	*(void **)&unwinder.get_reg = elf_symbol(libunwind, "_ULx86_64_get_reg");
	return unwinder.getcontext && unwinder.init_local && unwinder.step && unwinder.get_reg;
}

/* As far as one frame reaches: not on another stack, where a signal was handled. */
#define FRAME_MAX (1 << 20)

/* libunwind has read it there, unless it had it from a signal's saved registers. */
static bool lies_at(uintptr_t place, uint64_t ip, uintptr_t below)
{
	return place > below && place - below < FRAME_MAX && *(const uint64_t *)place == ip;
}

static bool next(struct cursor *cursor, struct walk *walk)
{
	uintptr_t last = walk->count ? walk->places[walk->count - 1] : (uintptr_t)cursor;
	uint64_t ip, sp;

	if (unwinder.step(cursor) <= 0 || unwinder.get_reg(cursor, REGISTER_IP, &ip) ||
	    unwinder.get_reg(cursor, REGISTER_SP, &sp) || !ip)
		return false;
	walk->frames[walk->count] = (void *)ip;
	walk->places[walk->count] = sp - sizeof(void *);
	walk->plain = walk->plain && lies_at(sp - sizeof(void *), ip, last);
	walk->count++;
	return true;
}

void walk_take(struct walk *walk)
{
	struct cursor cursor;
	ucontext_t context;

	walk->count = 0;
	walk->plain = true;
	if (unwinder.getcontext(&context) || unwinder.init_local(&cursor, &context))
		return;
	while (walk->count < WALK_FRAMES && next(&cursor, walk))
		;
}

/* ---- ways that were walked ------------------------------------------------------- */

#define WAYS 64

static struct way {
	uint32_t id; /* stored last */
	uint32_t count;
	uint32_t offsets[TLSTALL_STACK_FRAMES]; /* from the base */
	uintptr_t frames[TLSTALL_STACK_FRAMES];
} ways[WAYS];
static uint32_t claimed;

/*
 * What this thread's last walk went over: all of that is its stack, and may be read. On
 * another stack, or deeper, we do not guess how far it goes.
 */
static __thread struct {
	uintptr_t low, high;
} walked;

__attribute__((no_sanitize("address", "thread"))) static bool leads_here(const struct way *way,
									 uintptr_t base)
{
	if (base + way->offsets[way->count - 1] > walked.high)
		return false;
	for (uint32_t i = 0; i < way->count; i++) {
		if (*(const uintptr_t *)(base + way->offsets[i]) != way->frames[i])
			return false;
	}
	return true;
}

uint32_t walk_known(uintptr_t base)
{
	uint32_t count = __atomic_load_n(&claimed, __ATOMIC_RELAXED);

	if (base < walked.low || base > walked.high)
		return 0;
	for (uint32_t i = 0; i < count && i < WAYS; i++) {
		uint32_t id = __atomic_load_n(&ways[i].id, __ATOMIC_ACQUIRE);

		if (id && leads_here(&ways[i], base))
			return id;
	}
	return 0;
}

static void note_range(uintptr_t base, uintptr_t high)
{
	if (walked.high != high || base < walked.low)
		walked.low = base;
	walked.high = high;
}

bool walk_remember(uintptr_t base, const struct walk *walk, int skip, uint32_t id)
{
	struct way *way;
	uint32_t index;

	if (walk->plain && skip < walk->count)
		note_range(base, walk->places[walk->count - 1]);
	/* another thread's first walk up a way that is known */
	if (id && walk_known(base) == id)
		return true;
	if (__atomic_load_n(&claimed, __ATOMIC_RELAXED) >= WAYS)
		return false;
	index = __atomic_fetch_add(&claimed, 1, __ATOMIC_RELAXED);
	if (index >= WAYS || !walk->plain || skip >= walk->count || !id)
		return index < WAYS;
	way = &ways[index];
	for (int i = skip; i < walk->count && way->count < TLSTALL_STACK_FRAMES; i++) {
		way->offsets[way->count] = (uint32_t)(walk->places[i] - base);
		way->frames[way->count++] = (uintptr_t)walk->frames[i];
	}
	__atomic_store_n(&way->id, id, __ATOMIC_RELEASE);
	return true;
}

#else /* a return address may lie anywhere in its frame */

bool walk_load(const struct elf_object *libunwind)
{
	(void)libunwind;
	return false;
}

void walk_take(struct walk *walk)
{
	walk->count = 0;
}

uint32_t walk_known(uintptr_t base)
{
	(void)base;
	return 0;
}

bool walk_remember(uintptr_t base, const struct walk *walk, int skip, uint32_t id)
{
	(void)base, (void)walk, (void)skip, (void)id;
	return false;
}

#endif
