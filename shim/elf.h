/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Symbols of loaded objects, straight from their dynamic sections. Not dlsym():
 * it takes the loader's locks, changes what dlerror() tells the program, and
 * may be interposed by the shim itself.
 */
#ifndef SHIM_ELF_H
#define SHIM_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
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
	const struct link_map *map; /* NULL: in our own namespace */
};

/* False for an object without dynamic section or hash table. */
bool elf_object(const struct dl_phdr_info *info, struct elf_object *out);
/* Fills in the mapped range from the program headers, and the tables from the dynamic section. */
void elf_measure(struct elf_object *object);
bool elf_tables(struct elf_object *object);
/* The address of a defined function or object, or NULL. */
void *elf_symbol(const struct elf_object *object, const char *name);
/* The same as its symbol table entry, which has the size. */
const ElfW(Sym) * elf_entry(const struct elf_object *object, const char *name);
/*
 * What dlsym finds in it: also the entry to another object's function that a program linked for a
 * fixed address has, and that counts as the function's address in the whole process.
 */
void *elf_address(const struct elf_object *object, const char *name);
/* Whether it imports that symbol. Slow: not for frequent use. */
bool elf_imports(const struct elf_object *object, const char *name);
/* DT_SONAME, or "". */
const char *elf_soname(const struct elf_object *object);
/* The value of a dynamic tag; 0 and NULL: absent. */
uint64_t elf_value(const struct elf_object *object, int64_t tag);
const void *elf_pointer(const struct elf_object *object, int64_t tag);
bool elf_needs(const struct elf_object *object, const char *soname);
/* Whether an address is in this library. */
bool elf_is_own(uintptr_t address);

/*
 * Walks over the loaded objects hold a lock of the loader. A fork during a walk leaves it locked in
 * the child forever. So fork waits for the shim's own walks, which takes microseconds. Others, of
 * an unwinder or a dlopen in another thread, it cannot await: in the child of a process that had
 * threads, the functions below use the loader's list without the lock. Call them there only where
 * the list is not likely to change.
 */
void elf_await_walks(void);
void elf_after_fork(bool parent_had_threads);
bool elf_may_be_locked(void);

/* Calls visit for each loaded object until it returns true; returns that. */
bool elf_each(bool (*visit)(const struct elf_object *object, void *context), void *context);
/*
 * The first definition in symbol order, and the first one after this library (if none, that of any
 * other object). NULL: none.
 */
void *elf_first(const char *name);
void *elf_find(const char *name);
/* The same for many names in one walk. */
#define ELF_NAME 20
void elf_find_all(const char names[][ELF_NAME], size_t count, void **found);
/* The shim comes before libc: it was preloaded. */
bool elf_came_first(void);
/*
 * The same before the program starts: from the loader's list, without its lock, and without
 * functions of libc, which may be a sanitizer's that is not ready.
 */
void *elf_find_early(const char *name);
/* libc's own definition, whatever comes before it, found in the same way. */
void *elf_of_libc(const char *name);
/*
 * The number of objects ever loaded, plus one, and of those unloaded; equal
 * numbers mean that nothing happened in between. musl does not count the objects
 * loaded at the start, and never unloads any.
 */
uint64_t elf_loads(void);
uint64_t elf_unloads(void);

/*
 * Calls a function while no object is added or removed, in any namespace, and returns its result.
 * It must not take the loader's other lock, which dlopen holds throughout.
 */
bool elf_hold(bool (*call)(void *context), void *context);
/* Waits until objects that are being loaded are relocated, as dlsym itself does. */
bool elf_settle(void);

/* The first entry of the loader's list; NULL: unknown. */
const struct link_map *elf_list(void);

/* Whether there are other namespaces, made by dlmopen: the counts above include their objects. */
bool elf_others(void);
/* The object of another namespace, which the walks do not visit, that holds an address. */
bool elf_elsewhere(const void *address, struct elf_object *out);
/*
 * Calls visit for each object of that object's namespace, with the loader held,
 * until it returns true; returns that.
 */
bool elf_each_beside(const struct elf_object *object,
		     bool (*visit)(const struct elf_object *object, void *context), void *context);

#endif
