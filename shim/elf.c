/* SPDX-License-Identifier: Apache-2.0 */
#include "elf.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

/* glibc relocates these in place on x86 and arm64, other loaders do not. */
static const void *dynamic_pointer(uintptr_t bias, ElfW(Addr) value)
{
	return (const void *)(value < bias ? value + bias : value);
}

static void measure(struct elf_object *object)
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

static bool find_tables(struct elf_object *object)
{
	if (!object->dynamic)
		return false;
	object->symbols = elf_pointer(object, DT_SYMTAB);
	object->strings = elf_pointer(object, DT_STRTAB);
	object->gnu_hash = elf_pointer(object, DT_GNU_HASH);
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
	measure(out);
	return find_tables(out);
}

/* Not strcmp(), which is a sanitizer's, and called before its runtime has begun. */
static bool is_named(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

static void *symbol_at(const struct elf_object *object, uint32_t index, const char *name)
{
	const ElfW(Sym) *symbol = &object->symbols[index];

	if (symbol->st_shndx == SHN_UNDEF || !symbol->st_value ||
	    !is_named(object->strings + symbol->st_name, name))
		return NULL;
	return (void *)(object->bias + symbol->st_value);
}

/* The layout of DT_GNU_HASH: header of four words, Bloom filter, buckets, chains. */
static void *find_gnu(const struct elf_object *object, const char *name)
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
		void *found = (entry | 1) == (hash | 1) ? symbol_at(object, i, name) : NULL;

		if (found || (entry & 1))
			return found;
	}
	return NULL;
}

static void *find_sysv(const struct elf_object *object, const char *name)
{
	for (uint32_t i = 0; i < object->hash[1]; i++) {
		void *found = symbol_at(object, i, name);

		if (found)
			return found;
	}
	return NULL;
}

void *elf_symbol(const struct elf_object *object, const char *name)
{
	return object->gnu_hash ? find_gnu(object, name) : find_sysv(object, name);
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

struct walk {
	bool (*visit)(const struct elf_object *object, void *context);
	void *context;
};

static int walk_one(struct dl_phdr_info *info, size_t size, void *data)
{
	const struct walk *walk = data;
	struct elf_object object;

	(void)size;
	return elf_object(info, &object) && walk->visit(&object, walk->context);
}

static uint32_t walking, paused;

static void enter_walk(void)
{
	__atomic_fetch_add(&walking, 1, __ATOMIC_SEQ_CST);
}

void elf_walk_leave(void)
{
	__atomic_fetch_sub(&walking, 1, __ATOMIC_RELEASE);
}

bool elf_walk_enter(void)
{
	enter_walk();
	if (!__atomic_load_n(&paused, __ATOMIC_SEQ_CST))
		return true;
	elf_walk_leave();
	return false;
}

void elf_pause_walks(void)
{
	__atomic_store_n(&paused, 1, __ATOMIC_SEQ_CST);
	for (int i = 0; i < 100 && __atomic_load_n(&walking, __ATOMIC_SEQ_CST); i++)
		nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
}

void elf_resume_walks(bool in_child)
{
	if (in_child)
		__atomic_store_n(&walking, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&paused, 0, __ATOMIC_SEQ_CST);
}

bool elf_each(bool (*visit)(const struct elf_object *object, void *context), void *context)
{
	struct walk walk = {visit, context};
	int found;

	enter_walk();
	found = dl_iterate_phdr(walk_one, &walk);
	elf_walk_leave();
	return found;
}

struct search {
	const char *name;
	void *found;
	bool begun;
};

static bool find_in(const struct elf_object *object, void *context)
{
	struct search *search = context;

	if (search->begun)
		search->found = elf_symbol(object, search->name);
	search->begun |= elf_is_own(object->start);
	return search->found;
}

void *elf_first(const char *name)
{
	struct search search = {.name = name, .begun = true};

	elf_each(find_in, &search);
	return search.found;
}

void *elf_find(const char *name)
{
	struct search search = {.name = name};

	elf_each(find_in, &search);
	return search.found;
}

void *elf_find_early(const char *name)
{
	bool begun = false;

	for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
		struct elf_object object = {.bias = map->l_addr, .dynamic = map->l_ld};
		void *found = begun && find_tables(&object) ? elf_symbol(&object, name) : NULL;

		if (found)
			return found;
		begun |= elf_is_own((uintptr_t)map->l_ld);
	}
	return NULL;
}

static int read_adds(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	*(uint64_t *)data = info->dlpi_adds;
	return 1;
}

uint64_t elf_loads(void)
{
	uint64_t loads = 0;

	enter_walk();
	dl_iterate_phdr(read_adds, &loads);
	elf_walk_leave();
	return loads;
}

static int read_subs(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	*(uint64_t *)data = info->dlpi_subs;
	return 1;
}

uint64_t elf_unloads(void)
{
	uint64_t unloads = 0;

	enter_walk();
	dl_iterate_phdr(read_subs, &unloads);
	elf_walk_leave();
	return unloads;
}

struct held {
	bool (*call)(void *context);
	void *context;
	bool answer;
};

static int call_held(struct dl_phdr_info *info, size_t size, void *data)
{
	struct held *held = data;

	(void)info, (void)size;
	held->answer = held->call(held->context);
	return 1;
}

bool elf_hold(bool (*call)(void *context), void *context)
{
	struct held held = {.call = call, .context = context};

	enter_walk();
	dl_iterate_phdr(call_held, &held);
	elf_walk_leave();
	return held.answer;
}

static bool find_map(const void *address, struct link_map **map)
{
	typedef int dladdr1_function(const void *address, Dl_info *info, void **extra, int flags);
	static dladdr1_function *known;
	dladdr1_function *find = __atomic_load_n(&known, __ATOMIC_ACQUIRE);
	Dl_info info;

	if (!find) {
		find = (dladdr1_function *)elf_find("dladdr1");
		__atomic_store_n(&known, find, __ATOMIC_RELEASE);
	}
	*map = NULL;
	return find && find(address, &info, (void **)map, RTLD_DL_LINKMAP) && *map;
}

bool elf_settle(void)
{
	struct link_map *map;

	return find_map((const void *)elf_settle, &map);
}

/* ---- other namespaces: dlmopen ------------------------------------------------- */

struct census {
	uint64_t here, loaded;
};

static int count_one(struct dl_phdr_info *info, size_t size, void *data)
{
	struct census *census = data;

	(void)size;
	census->here++;
	census->loaded = info->dlpi_adds - info->dlpi_subs;
	return 0;
}

bool elf_others(void)
{
	struct census census = {0, 0};

	enter_walk();
	dl_iterate_phdr(count_one, &census);
	elf_walk_leave();
	return census.loaded > census.here;
}

/* Walks begin at its first object, which of all namespaces only ours leaves unnamed. */
static const struct link_map *first_beside(const struct link_map *map)
{
	while (map->l_prev)
		map = map->l_prev;
	return *map->l_name ? map : NULL;
}

/*
 * The headers lie at the start of the mapping, which is not told. They are believed on
 * the page of the tables that we read anyway, if they lead to the same dynamic section.
 */
static bool find_headers(struct elf_object *object)
{
	const uintptr_t page = 4096;
	const ElfW(Ehdr) *header = (const void *)object->bias;
	const void *first = object->gnu_hash ? (const void *)object->gnu_hash : object->hash;
	const ElfW(Dyn) *dynamic = object->dynamic;

	if ((const void *)object->symbols < first)
		first = object->symbols;
	if ((uintptr_t)first - object->bias >= page || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > page)
		return false;
	object->phdr = (const void *)(object->bias + header->e_phoff);
	object->phdr_count = header->e_phnum;
	measure(object);
	return object->dynamic == dynamic;
}

static bool beside(const struct link_map *map, struct elf_object *out)
{
	*out = (struct elf_object){
		.path = map->l_name, .bias = map->l_addr, .dynamic = map->l_ld, .map = map};
	return find_tables(out) && find_headers(out);
}

struct lookup {
	struct link_map *map;
	struct elf_object *out;
};

static bool look_up(void *context)
{
	struct lookup *lookup = context;

	return first_beside(lookup->map) && beside(lookup->map, lookup->out);
}

bool elf_elsewhere(const void *address, struct elf_object *out)
{
	struct lookup lookup = {.out = out};

	return find_map(address, &lookup.map) && elf_hold(look_up, &lookup);
}

struct walk_beside {
	const struct elf_object *object;
	struct walk walk;
};

static bool walk_beside(void *context)
{
	const struct walk_beside *w = context;
	struct elf_object one;

	for (const struct link_map *map = first_beside(w->object->map); map; map = map->l_next) {
		if (beside(map, &one) && w->walk.visit(&one, w->walk.context))
			return true;
	}
	return false;
}

bool elf_each_beside(const struct elf_object *object,
		     bool (*visit)(const struct elf_object *object, void *context), void *context)
{
	struct walk_beside w = {object, {visit, context}};

	return elf_hold(walk_beside, &w);
}
