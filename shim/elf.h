/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbols of objects that are loaded in this process, straight from their
 * dynamic section. Not dlsym(): that takes the loader's locks, changes what
 * dlerror() will say to the program, and may be interposed by ourselves.
 */
#ifndef SHIM_ELF_H
#define SHIM_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

struct elf_object {
	const char *path; /* as the loader has it; "" for the program itself */
	uintptr_t bias;
	uintptr_t start, end; /* mapped range */
	const ElfW(Phdr) * phdr;
	unsigned phdr_count;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint32_t *gnu_hash; /* NULL: none */
	const uint32_t *hash;	  /* the older table */
	const ElfW(Dyn) * dynamic;
	const struct link_map *map; /* NULL: of our namespace */
};

/* False for an object without dynamic section or hash table. */
bool elf_object(const struct dl_phdr_info *info, struct elf_object *out);
/* The address of a defined function or object, or NULL. */
void *elf_symbol(const struct elf_object *object, const char *name);
/* DT_SONAME, or "". */
const char *elf_soname(const struct elf_object *object);
/* What a dynamic tag holds; 0 and NULL: it is not there. */
uint64_t elf_value(const struct elf_object *object, int64_t tag);
const void *elf_pointer(const struct elf_object *object, int64_t tag);
bool elf_needs(const struct elf_object *object, const char *soname);
/* Whether an address lies in this very library. */
bool elf_is_own(uintptr_t address);

/*
 * Walks over the loaded objects hold a lock of the loader. A fork in the middle of one
 * would leave it locked in the child for ever: fork waits for those under way, which
 * takes microseconds. Walks that can be done without (unwinding) ask first, by
 * elf_walk_enter(), and are refused meanwhile.
 */
bool elf_walk_enter(void);
void elf_walk_leave(void);
void elf_pause_walks(void);
void elf_resume_walks(bool in_child);

/* Calls visit for each loaded object until it returns true; returns that. */
bool elf_each(bool (*visit)(const struct elf_object *object, void *context), void *context);
/* The first definition of all, and the first one behind this library. NULL: none. */
void *elf_first(const char *name);
void *elf_find(const char *name);
/*
 * The same before the program has begun: by the loader's list, without its lock, and without
 * a function of libc, all of which may be a sanitizer's that is not fit to be called yet.
 */
void *elf_find_early(const char *name);
/* Count objects ever loaded and unloaded; equal numbers: nothing happened in between. */
uint64_t elf_loads(void);
uint64_t elf_unloads(void);

/*
 * Calls a function while no object is added or taken away, in any namespace; what it
 * returns. It must not take the loader's other lock, which dlopen holds all along.
 */
bool elf_hold(bool (*call)(void *context), void *context);
/* Waits until objects that are being loaded now are relocated, as dlsym itself does. */
bool elf_settle(void);

/* Whether there are other namespaces, made by dlmopen: what is loaded there is counted too. */
bool elf_others(void);
/* The object of another namespace, which the walks do not visit, that holds an address. */
bool elf_elsewhere(const void *address, struct elf_object *out);
/* Calls visit for each object of its namespace, held, until it returns true; returns that. */
bool elf_each_beside(const struct elf_object *object,
		     bool (*visit)(const struct elf_object *object, void *context), void *context);

#endif
