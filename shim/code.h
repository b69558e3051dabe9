/* SPDX-License-Identifier: Apache-2.0 */
/* Which loaded object an instruction is in, and that object's unwind tables. */
#ifndef SHIM_CODE_H
#define SHIM_CODE_H

#include "cfi.h"
#include "elf.h"

/* Finds the loader's own search function, if it has one. */
void code_prepare(void);
/* Updates what is known about loaded objects; takes the loader's lock if that is safe. */
void code_refresh(bool may_lock);
/* False: not in a loaded object, or in one without tables. Takes no lock. */
bool code_find(uintptr_t address, struct cfi_table *table);
/* The object itself, without a lock, if the loader can search that way. */
bool code_object(uintptr_t address, struct elf_object *out);

#endif
