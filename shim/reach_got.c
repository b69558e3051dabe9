/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object opened with RTLD_DEEPBIND finds libssl before the shim, and one in another dlmopen
 * namespace never finds the shim. Their slots for our functions are therefore redirected to us:
 * those that hold an address in a libssl, and those that are not bound yet.
 */
#include "reach_got.h"

#include <string.h>

#include "aside.h"
#include "elf.h"
#include "libssl.h"
#include "reach_undo.h"
#include "slots.h"
#include "wrappers.h"

/* ---- in a program that was running before us: see attach.c --------------------------- */

/* Not NULL: slots of all loaded objects are redirected, and their contents noted. */
static const struct reach_other *others;

static void *other_wrapper(const struct elf_object *object, const char *name, uintptr_t value)
{
	for (const struct reach_other *o = others; o && o->name; o++) {
		if (strcmp(o->name, name) != 0)
			continue;
		if (value == (uintptr_t)o->real ||
		    (value >= object->start && value < object->end))
			return o->ours;
	}
	return NULL;
}

/*
 * Another library with these functions comes before us in symbol order. An unbound slot may be
 * bound to that library, so we leave it alone.
 */
static bool others_first;

/* The slot leads into a libssl, or to the object's own stub, which has yet to look it up. */
static bool leads_past_us(const struct elf_object *object, uintptr_t value)
{
	if (value >= object->start && value < object->end)
		return object->map || !__atomic_load_n(&others_first, __ATOMIC_RELAXED);
	return libssl_holding((const void *)value);
}

static void patch_one(const struct slot *slot)
{
	const struct elf_object *object = slot->object;
	uintptr_t value;
	void *wrapper;

	if (slot->symbol->st_shndx != SHN_UNDEF)
		return;
	value = *slot->at;
	wrapper = wrapper_of(slot->name,
			     libssl_holding((const void *)value) ? (const void *)value : NULL);
	if (wrapper && !leads_past_us(object, value))
		return;
	if (!wrapper)
		wrapper = other_wrapper(object, slot->name, value);
	if (!wrapper || value == (uintptr_t)wrapper || (others && !undo_note(slot->at, value)))
		return;
	slots_store(slot, (uintptr_t)wrapper);
}

/* Restores the slot's contents if it still points to us. */
static void restore_one(const struct slot *slot)
{
	uintptr_t value;

	if (elf_is_own(*slot->at) && undo_find(slot->at, &value))
		slots_store(slot, value);
}

/* New objects are appended: if none was unloaded, the known ones come first. */
struct progress {
	size_t seen, at;
};

static bool visit(const struct elf_object *object, void *context)
{
	struct progress *progress = context;

	/* a program that has OpenSSL inside has slots for other functions of ours, too */
	if (progress->at++ < progress->seen || elf_is_own(object->start) ||
	    (*object->path && libssl_holding((const void *)object->start)))
		return false;
	slots_each(object, patch_one);
	return false;
}

/*
 * Objects must be relocated before they are patched; otherwise the loader would write to
 * a page that we made read-only. Those that were loaded when `loads` was read are
 * relocated once the loader has settled.
 */
struct job {
	uint64_t loads;
	struct elf_object beside;
};

static uint64_t unloads_seen;
static size_t objects_seen;

static bool patch_ours(void *context)
{
	const struct job *job = context;
	uint64_t unloads = elf_unloads();
	struct progress progress = {.seen = unloads == unloads_seen ? objects_seen : 0};

	if (elf_loads() != job->loads)
		return false;
	if (!others)
		aside_new_objects();
	elf_each(visit, &progress);
	objects_seen = progress.at;
	unloads_seen = unloads;
	return true;
}

/* Without a libssl, nothing leads to one. */
static bool only_step_aside(void *context)
{
	const struct job *job = context;

	if (elf_loads() != job->loads)
		return false;
	aside_new_objects();
	return true;
}

static bool patch_beside(void *context)
{
	const struct job *job = context;
	struct progress progress = {.seen = 0};

	if (elf_loads() != job->loads)
		return false;
	elf_each_beside(&job->beside, visit, &progress);
	return true;
}

/* Whether objects are loaded that walks over our own namespace miss. */
static bool others_exist(uint64_t loads)
{
	static uint64_t loads_seen;
	static bool known;

	if (loads != __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&known, elf_others(), __ATOMIC_RELEASE);
		__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
	}
	return __atomic_load_n(&known, __ATOMIC_ACQUIRE);
}

/*
 * Patches all objects of the other namespace that `found` lies in, if
 * it does; once, until more is loaded.
 */
static void reach_beside(const void *found, uint64_t loads)
{
	static const struct link_map *last;
	static uint64_t loads_seen;
	struct job job;

	/* elf_elsewhere() also waits until the loader has settled */
	if (!elf_elsewhere(found, &job.beside) ||
	    (job.beside.map == __atomic_load_n(&last, __ATOMIC_ACQUIRE) &&
	     loads == __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE)))
		return;
	job.loads = loads;
	libssl_learn_beside(&job.beside);
	if (!elf_hold(patch_beside, &job))
		return;
	__atomic_store_n(&last, job.beside.map, __ATOMIC_RELEASE);
	__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
}

static uint64_t ours_seen;

/* When attached, the shim comes last in symbol order, after the program's own libssl. */
static bool is_others(const void *first)
{
	return !elf_is_own((uintptr_t)first) && !(others && libssl_holding(first));
}

static void reach_ours(uint64_t loads)
{
	struct job job;
	bool any;

	if (loads == __atomic_load_n(&ours_seen, __ATOMIC_ACQUIRE))
		return;
	job.loads = loads;
	any = libssl_any();
	if (others && !any)
		return;
	__atomic_store_n(&others_first, any && is_others(elf_first("SSL_connect")), __ATOMIC_RELAXED);
	if (elf_settle() && elf_hold(any ? patch_ours : only_step_aside, &job))
		__atomic_store_n(&ours_seen, loads, __ATOMIC_RELEASE);
}

void reach_got(const void *found)
{
	uint64_t loads = elf_loads();

	if (others_exist(loads))
		reach_beside(found, loads);
	reach_ours(loads);
}

bool reach_attach(const struct reach_other *table)
{
	others = table;
	unloads_seen = objects_seen = 0;
	ours_seen = 0;
	/* an object may be in the middle of loading: try until it is complete */
	for (int i = 0; i < 100 && !ours_seen; i++)
		reach_ours(elf_loads());
	return ours_seen;
}

static bool restore(const struct elf_object *object, void *context)
{
	(void)context;
	if (!elf_is_own(object->start))
		slots_each(object, restore_one);
	return false;
}

static bool restore_all(void *context)
{
	elf_each(restore, context);
	undo_forget();
	return true;
}

void reach_detach(void)
{
	elf_settle();
	elf_hold(restore_all, NULL);
	others = NULL;
}
