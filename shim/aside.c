/* SPDX-License-Identifier: Apache-2.0 */
#include "aside.h"

#include <string.h>

#include "elf.h"
#include "libssl.h"
#include "slots.h"
#include "wrappers.h"

/* Objects that were there when we came: all of them are in the global symbol order. */
static size_t at_start;
static bool preloaded; /* we are one of them, too */

/* ---- whose function it is -------------------------------------------------------------- */

struct owners {
	const char *name;
	const struct elf_object *user; /* NULL: nobody in particular */
	size_t at;
	bool openssl, global; /* an OpenSSL has it; something at the start has it */
	void *first, *beside; /* another's: in symbol order; the user's own or its library's */
};

static bool is_beside(const struct elf_object *object, const struct elf_object *user)
{
	return user && (object->start == user->start || elf_needs(user, elf_soname(object)));
}

static bool find_owner(const struct elf_object *object, void *context)
{
	struct owners *owners = context;
	bool early = owners->at++ < at_start;
	void *address = elf_is_own(object->start) ? NULL : elf_symbol(object, owners->name);

	if (!address)
		return false;
	owners->global |= early;
	if (libssl_is_copy(object)) {
		owners->openssl = true;
		return false;
	}
	if (!owners->first)
		owners->first = address;
	if (!owners->beside && is_beside(object, owners->user))
		owners->beside = address;
	return false;
}

struct next {
	const char *name;
	const void *after;
	void *found;
	bool begun, openssl;
};

static bool find_next(const struct elf_object *object, void *context)
{
	struct next *next = context;
	void *address = elf_is_own(object->start) ? NULL : elf_address(object, next->name);

	next->openssl |= address && libssl_is_copy(object);
	if (next->begun && !next->found)
		next->found = address;
	next->begun |= (uintptr_t)next->after >= object->start && (uintptr_t)next->after < object->end;
	return next->openssl;
}

bool aside_is_none_of_ours(const char *name, const void *after, void **found)
{
	struct next next = {.name = name, .after = after, .begun = !after};

	elf_each(find_next, &next);
	*found = next.found;
	return !next.openssl;
}

struct holder {
	uintptr_t address;
	size_t at;
	struct elf_object found;
};

static bool find_holder(const struct elf_object *object, void *context)
{
	struct holder *holder = context;

	if (holder->at++ < at_start || holder->address < object->start || holder->address >= object->end)
		return false;
	holder->found = *object;
	return true;
}

void *aside_of_plugin(const char *name, const void *caller)
{
	struct holder holder = {.address = (uintptr_t)caller};
	struct owners owners = {.name = name, .user = &holder.found};

	if (elf_each(find_holder, &holder))
		elf_each(find_owner, &owners);
	return owners.global ? NULL : owners.beside;
}

struct place {
	const char *name;
	const void *caller;
	size_t at;
	bool past_us, is_early, before; /* the caller came early; somebody has it before us */
};

static bool find_place(const struct elf_object *object, void *context)
{
	struct place *place = context;
	uintptr_t caller = (uintptr_t)place->caller;

	place->past_us |= elf_is_own(object->start);
	place->is_early |= caller >= object->start && caller < object->end;
	place->before |= !place->past_us && elf_address(object, place->name);
	return ++place->at >= at_start;
}

bool aside_finds_ours(const char *name, const void *caller)
{
	struct place place = {.name = name, .caller = caller, .is_early = !caller};

	elf_each(find_place, &place);
	return preloaded && place.is_early && !place.before;
}

/* ---- slots ------------------------------------------------------------------------------- */

static bool is_late; /* the objects being visited came after the start */

/* What a slot would hold without us: false if a function of OpenSSL's, or that is not known. */
static bool is_anothers(const struct slot *slot, uintptr_t *value)
{
	struct owners owners = {.name = slot->name, .user = slot->object};

	elf_each(find_owner, &owners);
	/* chain.h: what is there at the start and has the function, too, wraps it */
	if (owners.openssl && (!is_late || owners.global || !owners.beside))
		return false;
	*value = (uintptr_t)(owners.beside ? owners.beside : owners.first);
	return true;
}

/* Most names are not: this is the cost of every start. */
static bool may_be_ours(const char *name)
{
	return (name[0] == 'S' && name[1] == 'S') || (name[0] == 'D' && name[1] == 'T');
}

static void give_back(const struct slot *slot)
{
	const void *ours = may_be_ours(slot->name) ? wrapper_of(slot->name, NULL) : NULL;
	uintptr_t value = *slot->at;
	bool unbound = slot->of_call && slots_unbound(slot);

	if (!ours || (value != (uintptr_t)ours && !unbound) || !is_anothers(slot, &value))
		return;
	if (value || (!unbound && ELF64_ST_BIND(slot->symbol->st_info) == STB_WEAK))
		slots_store(slot, value);
}

struct progress {
	size_t seen, at;
};

static bool visit(const struct elf_object *object, void *context)
{
	struct progress *progress = context;

	if (progress->at++ < progress->seen || elf_is_own(object->start) || libssl_is_copy(object))
		return false;
	is_late = progress->at > at_start;
	slots_each(object, give_back);
	return false;
}

/* New objects are appended: if none was unloaded, the known ones come first. */
void aside_new_objects(void)
{
	static uint64_t unloads_seen;
	static size_t seen;
	uint64_t unloads = elf_unloads();
	struct progress progress = {.seen = unloads == unloads_seen && seen ? seen : at_start};

	elf_each(visit, &progress);
	seen = progress.at;
	unloads_seen = unloads;
}

/* ---- at the start ------------------------------------------------------------------------ */

static const char *const names[] = {
#define INTERPOSED(name, ...) #name,
#include "functions.def"
};

/* An OpenSSL with all functions, as most programs have that have one. */
static bool is_complete(const struct elf_object *object)
{
	if (!libssl_is_copy(object))
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!elf_symbol(object, names[i]))
			return false;
	}
	return true;
}

struct census {
	bool past_us, complete;
};

/* Whatever attaches us comes before us. */
static bool count(const struct elf_object *object, void *context)
{
	struct census *census = context;

	at_start++;
	preloaded |= census->past_us;
	census->past_us |= elf_is_own(object->start);
	census->complete = census->complete || is_complete(object);
	return false;
}

__attribute__((constructor)) static void begin(void)
{
	struct progress progress = {0};
	struct census census = {false, false};

	elf_each(count, &census);
	if (preloaded && !census.complete)
		elf_each(visit, &progress);
}
