/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of one object. Sanitizers look up functions while they start, so
 * this file is compiled without them, and up to elf_find_early() it calls no
 * function of libc, which may be theirs.
 */
#include "elf.h"

#include <string.h>

/* glibc relocates these in place on x86 and arm64; other loaders do not. */
static const void *dynamic_pointer(uintptr_t bias, ElfW(Addr) value)
{
	return (const void *)(value < bias ? value + bias : value);
}

void elf_measure(struct elf_object *object)
{
	object->start = UINTPTR_MAX;
	for (unsigned i = 0; i < object->phdr_count; i++) {
		const ElfW(Phdr) *phdr = &object->phdr[i];
		uintptr_t start = object->bias + phdr->p_vaddr;

		if (phdr->p_type == PT_DYNAMIC)
			object->dynamic = (const ElfW(Dyn) *)start;
		if (phdr->p_type != PT_LOAD)
			continue;
		if (start < object->start)
			object->start = start;
		if (start + phdr->p_memsz > object->end)
			object->end = start + phdr->p_memsz;
	}
}

uint64_t elf_value(const struct elf_object *object, int64_t tag)
{
	for (const ElfW(Dyn) *d = object->dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == tag)
			return d->d_un.d_val;
	}
	return 0;
}

const void *elf_pointer(const struct elf_object *object, int64_t tag)
{
	uint64_t value = elf_value(object, tag);

	return value ? dynamic_pointer(object->bias, value) : NULL;
}

bool elf_tables(struct elf_object *object)
{
	if (!object->dynamic)
		return false;
	object->symbols = elf_pointer(object, DT_SYMTAB);
	object->strings = elf_pointer(object, DT_STRTAB);
	object->gnu_hash = elf_pointer(object, DT_GNU_HASH);
	/* most objects have none, and the search would read the whole section */
	if (!object->gnu_hash)
		object->hash = elf_pointer(object, DT_HASH);
	return object->symbols && object->strings && (object->gnu_hash || object->hash);
}

bool elf_object(const struct dl_phdr_info *info, struct elf_object *out)
{
	*out = (struct elf_object){
		.path = info->dlpi_name ? info->dlpi_name : "",
		.bias = info->dlpi_addr,
		.phdr = info->dlpi_phdr,
		.phdr_count = info->dlpi_phnum,
	};
	elf_measure(out);
	return elf_tables(out);
}

/* Not strcmp(): a sanitizer's version would be called before its runtime has started. */
static bool is_named(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

typedef ElfW(Sym) elf_symbol_entry;

static const elf_symbol_entry *symbol_at(const struct elf_object *object, uint32_t index,
					 const char *name)
{
	const elf_symbol_entry *symbol = &object->symbols[index];

	if (!symbol->st_value || !is_named(object->strings + symbol->st_name, name))
		return NULL;
	return symbol;
}

/* The layout of DT_GNU_HASH: header of four words, Bloom filter, buckets, chains. */
static const elf_symbol_entry *find_gnu(const struct elf_object *object, const char *name)
{
	const uint32_t *table = object->gnu_hash;
	uint32_t buckets = table[0], first = table[1], bloom_words = table[2];
	const ElfW(Addr) *bloom = (const ElfW(Addr) *)(table + 4);
	const uint32_t *bucket = (const uint32_t *)(bloom + bloom_words);
	const uint32_t *chain = bucket + buckets;
	uint32_t hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (!buckets)
		return NULL;
	for (uint32_t i = bucket[hash % buckets]; i >= first && i; i++) {
		uint32_t entry = chain[i - first];
		const elf_symbol_entry *found =
			(entry | 1) == (hash | 1) ? symbol_at(object, i, name) : NULL;

		if (found || (entry & 1))
			return found;
	}
	return NULL;
}

static const elf_symbol_entry *find_sysv(const struct elf_object *object, const char *name)
{
	for (uint32_t i = 0; i < object->hash[1]; i++) {
		const elf_symbol_entry *found = symbol_at(object, i, name);

		if (found)
			return found;
	}
	return NULL;
}

static const elf_symbol_entry *find(const struct elf_object *object, const char *name)
{
	return object->gnu_hash ? find_gnu(object, name) : find_sysv(object, name);
}

const elf_symbol_entry *elf_entry(const struct elf_object *object, const char *name)
{
	const elf_symbol_entry *symbol = find(object, name);

	return symbol && symbol->st_shndx != SHN_UNDEF ? symbol : NULL;
}

void *elf_symbol(const struct elf_object *object, const char *name)
{
	const elf_symbol_entry *symbol = elf_entry(object, name);

	return symbol ? (void *)(object->bias + symbol->st_value) : NULL;
}

void *elf_address(const struct elf_object *object, const char *name)
{
	const elf_symbol_entry *symbol = find(object, name);

	return symbol ? (void *)(object->bias + symbol->st_value) : NULL;
}

/*
 * Undefined symbols come first. If none is defined, the hash table does not give their number, but
 * linkers put the strings right after the symbols.
 */
static size_t count_imports(const struct elf_object *object)
{
	const char *symbols = (const char *)object->symbols;

	if (object->gnu_hash && object->gnu_hash[1] > 1)
		return object->gnu_hash[1];
	if (!object->gnu_hash)
		return object->hash[1];
	return object->strings > symbols
		       ? (size_t)(object->strings - symbols) / sizeof(*object->symbols)
		       : 0;
}

bool elf_imports(const struct elf_object *object, const char *name)
{
	size_t count = count_imports(object);

	for (size_t i = 1; i < count; i++) {
		if (object->symbols[i].st_shndx == SHN_UNDEF &&
		    is_named(object->strings + object->symbols[i].st_name, name))
			return true;
	}
	return false;
}

const char *elf_soname(const struct elf_object *object)
{
	uint64_t at = elf_value(object, DT_SONAME);

	return at ? object->strings + at : "";
}

bool elf_needs(const struct elf_object *object, const char *soname)
{
	for (const ElfW(Dyn) *d = object->dynamic; d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_NEEDED && !strcmp(object->strings + d->d_un.d_val, soname))
			return true;
	}
	return false;
}

bool elf_is_own(uintptr_t address)
{
	extern const char __ehdr_start __attribute__((visibility("hidden")));
	extern const char _end __attribute__((visibility("hidden")));

	return address - (uintptr_t)&__ehdr_start < (uintptr_t)(&_end - &__ehdr_start);
}

/* The loader's list for debuggers: a variable in glibc, a pointer to it in musl. */
extern struct r_debug _r_debug __attribute__((weak));
extern struct r_debug *_dl_debug_addr __attribute__((weak));

const struct link_map *elf_list(void)
{
	if (&_r_debug)
		return _r_debug.r_map;
	return &_dl_debug_addr && _dl_debug_addr ? _dl_debug_addr->r_map : NULL;
}

void *elf_find_early(const char *name)
{
	bool begun = false;

	for (const struct link_map *map = elf_list(); map; map = map->l_next) {
		struct elf_object object = {.bias = map->l_addr, .dynamic = map->l_ld};
		void *found = begun && elf_tables(&object) ? elf_symbol(&object, name) : NULL;

		if (found)
			return found;
		begun |= elf_is_own((uintptr_t)map->l_ld);
	}
	return NULL;
}

void *elf_of_libc(const char *name)
{
	for (const struct link_map *map = elf_list(); map; map = map->l_next) {
		struct elf_object object = {.bias = map->l_addr, .dynamic = map->l_ld};

		if (elf_tables(&object) && elf_symbol(&object, "__libc_start_main"))
			return elf_symbol(&object, name);
	}
	return NULL;
}
