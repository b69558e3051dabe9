/* SPDX-License-Identifier: Apache-2.0 */
/* Walks over the loaded objects. */
#include "elf.h"
#include "system.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

/*
 * Programs that throw many exceptions in many threads have a dl_iterate_phdr() of their own, which
 * takes no lock, but knows only the objects that were there when it was told to look.
 */
static int iterate(int (*visit)(struct dl_phdr_info *info, size_t size, void *data), void *data)
{
	static __typeof__(&dl_iterate_phdr) known;
	__typeof__(&dl_iterate_phdr) real = __atomic_load_n(&known, __ATOMIC_ACQUIRE);

	if (!real) {
		real = (__typeof__(&dl_iterate_phdr))elf_of_libc("dl_iterate_phdr");
		if (!real)
			real = dl_iterate_phdr;
		__atomic_store_n(&known, real, __ATOMIC_RELEASE);
	}
	return real(visit, data);
}

struct visit {
	bool (*visit)(const struct elf_object *object, void *context);
	void *context;
};

static int walk_one(struct dl_phdr_info *info, size_t size, void *data)
{
	const struct visit *walk = data;
	struct elf_object object;

	(void)size;
	return elf_object(info, &object) && walk->visit(&object, walk->context);
}

/*
 * The program headers are at the start of the mapping, whose address the loader does not
 * give. They are accepted if they lie on the page of the tables, which is read anyway,
 * and lead to the same dynamic section.
 */
static bool find_headers(struct elf_object *object)
{
	const uintptr_t page = 4096;
	const ElfW(Ehdr) *header = (const void *)object->bias;
	const ElfW(Dyn) *dynamic = object->dynamic;
	const void *first = object->symbols, *hash = elf_pointer(object, DT_HASH);

	if (object->gnu_hash && (const void *)object->gnu_hash < first)
		first = object->gnu_hash;
	if (hash && hash < first)
		first = hash;
	if ((uintptr_t)first - object->bias >= page || memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > page)
		return false;
	object->phdr = (const void *)(object->bias + header->e_phoff);
	object->phdr_count = header->e_phnum;
	elf_measure(object);
	return object->dynamic == dynamic;
}

static bool of_map(const struct link_map *map, struct elf_object *out)
{
	*out = (struct elf_object){
		.path = map->l_name, .bias = map->l_addr, .dynamic = map->l_ld, .map = map};
	return elf_tables(out) && find_headers(out);
}

static uint32_t walking;

static void enter_walk(void)
{
	__atomic_fetch_add(&walking, 1, __ATOMIC_SEQ_CST);
}

static void leave_walk(void)
{
	__atomic_fetch_sub(&walking, 1, __ATOMIC_RELEASE);
}

void elf_await_walks(void)
{
	for (int i = 0; i < 100 && __atomic_load_n(&walking, __ATOMIC_SEQ_CST); i++)
		system_nanosleep(&(struct timespec){.tv_nsec = 100000});
}

static bool may_be_locked;

extern struct r_debug _r_debug __attribute__((weak)); /* glibc's; musl's fork() resets the lock */

void elf_after_fork(bool parent_had_threads)
{
	__atomic_store_n(&walking, 0, __ATOMIC_SEQ_CST);
	may_be_locked |= parent_had_threads && &_r_debug;
}

bool elf_may_be_locked(void)
{
	return may_be_locked;
}

static bool each_of_list(const struct visit *walk)
{
	for (const struct link_map *map = elf_list(); map; map = map->l_next) {
		struct elf_object object;

		if (!of_map(map, &object))
			continue;
		object.map = NULL; /* of our own namespace */
		if (walk->visit(&object, walk->context))
			return true;
	}
	return false;
}

/* Another number when the list is another one. */
static uint64_t hash_list(void)
{
	uint64_t hash = 14695981039346656037ull; /* FNV-1a, a word at a time */

	for (const struct link_map *map = elf_list(); map; map = map->l_next)
		hash = (hash ^ (uintptr_t)map->l_ld) * 1099511628211ull;
	return hash | 1;
}

bool elf_each(bool (*visit)(const struct elf_object *object, void *context), void *context)
{
	struct visit walk = {visit, context};
	int found;

	if (may_be_locked)
		return each_of_list(&walk);
	enter_walk();
	found = iterate(walk_one, &walk);
	leave_walk();
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

static bool find_beside(const struct elf_object *object, void *context)
{
	struct search *search = context;

	if (!elf_is_own(object->start))
		search->found = elf_symbol(object, search->name);
	return search->found;
}

bool elf_came_first(void)
{
	struct search search = {.name = "__libc_start_main"};

	return elf_each(find_in, &search);
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

	/* in a running program we come last: search from the beginning */
	if (!elf_each(find_in, &search))
		elf_each(find_beside, &search);
	return search.found;
}

struct search_all {
	const char (*names)[ELF_NAME];
	size_t count, missing;
	void **found;
	bool begun; /* the walk has passed this library */
};

static bool find_all_in(const struct elf_object *object, void *context)
{
	struct search_all *search = context;
	bool own = elf_is_own(object->start);

	for (size_t i = 0; search->begun && !own && i < search->count; i++) {
		if (search->found[i])
			continue;
		search->found[i] = elf_symbol(object, search->names[i]);
		search->missing -= search->found[i] != NULL;
	}
	search->begun |= own;
	return !search->missing;
}

void elf_find_all(const char names[][ELF_NAME], size_t count, void **found)
{
	struct search_all search = {names, count, count, found, false};

	if (!elf_each(find_all_in, &search))
		elf_each(find_all_in, &search);
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

	if (may_be_locked)
		return hash_list();
	enter_walk();
	iterate(read_adds, &loads);
	leave_walk();
	return loads + 1;
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

	if (may_be_locked)
		return hash_list();
	enter_walk();
	iterate(read_subs, &unloads);
	leave_walk();
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

	if (may_be_locked)
		return call(context);
	enter_walk();
	iterate(call_held, &held);
	leave_walk();
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

	if (may_be_locked)
		return false;
	enter_walk();
	iterate(count_one, &census);
	leave_walk();
	return census.loaded > census.here;
}

/* Walks begin at the first object of a namespace, which has an empty name only in our own. */
static const struct link_map *first_beside(const struct link_map *map)
{
	while (map->l_prev)
		map = map->l_prev;
	return *map->l_name ? map : NULL;
}

struct lookup {
	struct link_map *map;
	struct elf_object *out;
};

static bool look_up(void *context)
{
	struct lookup *lookup = context;

	return first_beside(lookup->map) && of_map(lookup->map, lookup->out);
}

bool elf_elsewhere(const void *address, struct elf_object *out)
{
	struct lookup lookup = {.out = out};

	return find_map(address, &lookup.map) && elf_hold(look_up, &lookup);
}

struct walk_beside {
	const struct elf_object *object;
	struct visit walk;
};

static bool walk_beside(void *context)
{
	const struct walk_beside *w = context;
	struct elf_object one;

	for (const struct link_map *map = first_beside(w->object->map); map; map = map->l_next) {
		if (of_map(map, &one) && w->walk.visit(&one, w->walk.context))
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
