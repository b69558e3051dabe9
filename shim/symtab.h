/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions that an object's file names in .symtab, which is not loaded: what a debugger sees of a
 * program that exports nothing. Leaves nothing open or mapped, and does not trust the file.
 */
#ifndef SHIM_SYMTAB_H
#define SHIM_SYMTAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf.h"

#define SYMTAB_NAMES 128 /* at most */

struct symtab_function {
	uintptr_t address; /* 0: no function of that name */
	size_t size;
};

/*
 * False: no such table, the file is not this object's, or it contains a name twice. The first case
 * is by far the most frequent, and costs four system calls.
 */
bool symtab_find(const struct elf_object *object, const char *path,
		 const char *(*name)(size_t i), size_t count, struct symtab_function *found);

#endif
