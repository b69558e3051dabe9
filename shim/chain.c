/* SPDX-License-Identifier: Apache-2.0 */
#include "chain.h"

#include <string.h>

#include "elf.h"

struct functions chain_next;
bool chain_has_before;

/*
 * A library that a plugin opens later is not in the global symbol order, or comes after everything
 * here. Only objects that were present at the program's start count.
 */
static uint64_t objects_at_start; /* 0: not known */

__attribute__((constructor)) static void count_objects(void)
{
	objects_at_start = elf_loads() - 1;
}

static const struct {
	char name[28];
	uint16_t offset;
} names[] = {
#define INTERPOSED(name, ...) {#name, offsetof(struct functions, name)},
#include "functions.def"
};
#define NAMES (sizeof(names) / sizeof(names[0]))

struct search {
	uint64_t at;
	bool behind, over;
	struct functions found;
};

static void take_functions(const struct elf_object *object, struct functions *found)
{
	for (size_t i = 0; i < NAMES; i++) {
		void *address = elf_symbol(object, names[i].name), *known;

		memcpy(&known, (char *)found + names[i].offset, sizeof(known));
		if (address && !known)
			memcpy((char *)found + names[i].offset, &address, sizeof(address));
	}
}

/* The program itself does not count: it contains these functions because OpenSSL is linked in. */
static bool wraps(const struct elf_object *object)
{
	return object->path[0] && !libssl_is_copy(object) &&
	       (elf_symbol(object, "SSL_connect") || elf_symbol(object, "SSL_do_handshake"));
}

static bool visit(const struct elf_object *object, void *context)
{
	struct search *search = context;
	bool late = objects_at_start && search->at++ >= objects_at_start;

	if (!search->behind) {
		search->behind = elf_is_own(object->start);
		chain_has_before |= !search->behind && wraps(object);
		return false;
	}
	if (late || libssl_is_copy(object))
		return true;
	take_functions(object, &search->found);
	return false;
}

void chain_find(void)
{
	static uint32_t done;
	struct search search = {0};

	if (__atomic_load_n(&done, __ATOMIC_ACQUIRE))
		return;
	elf_each(visit, &search);
	chain_next = search.found;
	__atomic_store_n(&done, 1, __ATOMIC_RELEASE);
}

static __thread uint8_t passing; /* function + 1; 0: none */

void chain_pass(enum function_id function)
{
	passing = (uint8_t)(function + 1);
}

/* The innermost call that went on to another library. */
static __thread struct chain_place innermost;

void chain_leave(const struct chain_place *outer)
{
	innermost = *outer;
}

/* Another library that calls back to us: frames inside each other. */
static bool in_circle(enum function_id function, const void *object)
{
	struct chain_place place = {
		object, (uintptr_t)__builtin_frame_address(0), (uint8_t)function, 0};

	/* a call that was left by longjmp does not make the next frame deeper */
	if (innermost.object == object && innermost.function == function && place.frame < innermost.frame)
		place.depth = (uint8_t)(innermost.depth + 1);
	innermost = place;
	return place.depth > 8;
}

bool chain_takes(enum function_id function, const void *object, struct chain_place *outer)
{
	bool past = passing == function + 1;

	*outer = innermost;
	passing = 0;
	return !past && !in_circle(function, object);
}
