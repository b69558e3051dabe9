/* SPDX-License-Identifier: Apache-2.0 */
/* The slots of an object's import tables, where the loader writes the addresses of functions. */
#ifndef SHIM_SLOTS_H
#define SHIM_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "elf.h"

struct slot {
	const struct elf_object *object;
	const ElfW(Sym) * symbol;
	const char *name;
	uintptr_t *at;
	bool of_call; /* only calls use it: bound at the first one, perhaps */
};

typedef void slot_function(const struct slot *slot);

/* Calls `one` for each slot that holds the address of a symbol. */
void slots_each(const struct elf_object *object, slot_function *one);
/* Also where the loader made the slot read-only. False: it could not be written. */
bool slots_store(const struct slot *slot, uintptr_t value);

/* The slot is not bound yet: it leads to the object's own stub, which looks the function up. */
static inline bool slots_unbound(const struct slot *slot)
{
	return *slot->at >= slot->object->start && *slot->at < slot->object->end;
}

#endif
