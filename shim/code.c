/* SPDX-License-Identifier: Apache-2.0 */
#include "code.h"

#include <string.h>

#include "large.h"

/* ---- the loader's own search ------------------------------------------------------------ */

/* struct dl_find_object of glibc 2.35, whose function takes no lock. */
struct found {
	unsigned long long flags;
	void *start, *end;
	struct link_map *map;
	void *header; /* .eh_frame_hdr */
	unsigned long long reserved[7];
};

typedef int find_function(void *address, struct found *found);
static find_function *find_object;

void code_prepare(void)
{
	if (!__atomic_load_n(&find_object, __ATOMIC_ACQUIRE))
		__atomic_store_n(&find_object, (find_function *)elf_find("_dl_find_object"),
				 __ATOMIC_RELEASE);
}

/* ---- objects seen so far ------------------------------------------------------------------ */

#define OBJECTS 512

LARGE static struct object {
	uint32_t version; /* odd: being written; 0: never used */
	uint32_t round;	  /* the last refresh that found it */
	uintptr_t start, end;
	struct cfi_table table;
} objects[OBJECTS];
static uint32_t object_count, round_done, refreshing;

static uint32_t load(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* False: the object was unloaded, or is being written. */
__attribute__((no_sanitize("thread"))) static bool copy_object(const struct object *object,
							       struct object *out)
{
	uint32_t version = load(&object->version);

	*out = *object;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return version && version % 2 == 0 &&
	       __atomic_load_n(&object->version, __ATOMIC_RELAXED) == version &&
	       out->round >= load(&round_done);
}

__attribute__((no_sanitize("thread"))) static void write_object(struct object *object,
								const struct object *value)
{
	uint32_t version = object->version;

	__atomic_store_n(&object->version, version + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
	*object = *value;
	object->version = version + 1;
	__atomic_store_n(&object->version, version + 2, __ATOMIC_RELEASE);
}

/* Both tables are in one segment, all of which is readable. */
static bool find_table(const ElfW(Phdr) * phdr, unsigned count, uintptr_t bias,
		       struct cfi_table *table)
{
	table->header = 0;
	for (unsigned i = 0; i < count; i++) {
		if (phdr[i].p_type == PT_GNU_EH_FRAME)
			table->header = bias + phdr[i].p_vaddr;
	}
	for (unsigned i = 0; i < count && table->header; i++) {
		table->low = bias + phdr[i].p_vaddr;
		table->high = table->low + phdr[i].p_filesz;
		if (phdr[i].p_type == PT_LOAD && (phdr[i].p_flags & PF_R) &&
		    table->header - table->low < phdr[i].p_filesz)
			return true;
	}
	return false;
}

static struct object *free_place(void)
{
	for (uint32_t i = 0; i < object_count; i++) {
		if (objects[i].round < round_done)
			return &objects[i];
	}
	if (object_count == OBJECTS)
		return NULL;
	__atomic_store_n(&object_count, object_count + 1, __ATOMIC_RELEASE);
	return &objects[object_count - 1];
}

static struct object *known_place(const struct object *value)
{
	for (uint32_t i = 0; i < object_count; i++) {
		const struct object *object = &objects[i];

		if (object->start == value->start && object->end == value->end &&
		    object->table.header == value->table.header &&
		    object->table.low == value->table.low && object->table.high == value->table.high)
			return &objects[i];
	}
	return NULL;
}

static bool note(const struct elf_object *elf, void *context)
{
	struct object value = {.start = elf->start, .end = elf->end, .round = round_done + 1};
	struct object *object;

	(void)context;
	if (!find_table(elf->phdr, elf->phdr_count, elf->bias, &value.table))
		return false;
	object = known_place(&value);
	if (object) {
		__atomic_store_n(&object->round, value.round, __ATOMIC_RELAXED);
		return false;
	}
	object = free_place();
	if (object)
		write_object(object, &value);
	return false;
}

/* While one thread refreshes, others use what is known already. */
void code_refresh(bool may_lock)
{
	static uint64_t seen_loads, seen_unloads;
	uint64_t loads, unloads;
	uint32_t idle = 0;

	if (!may_lock ||
	    !__atomic_compare_exchange_n(&refreshing, &idle, 1, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED))
		return;
	loads = elf_loads();
	unloads = elf_unloads();
	if (loads != seen_loads || unloads != seen_unloads) {
		elf_each(note, NULL);
		__atomic_store_n(&round_done, round_done + 1, __ATOMIC_RELEASE);
		seen_loads = loads;
		seen_unloads = unloads;
	}
	__atomic_store_n(&refreshing, 0, __ATOMIC_RELEASE);
}

/* ---- looking up --------------------------------------------------------------------------- */

static bool look_up(uintptr_t address, struct object *out)
{
	uint32_t count = load(&object_count);

	for (uint32_t i = 0; i < count; i++) {
		uintptr_t start = __atomic_load_n(&objects[i].start, __ATOMIC_RELAXED);
		uintptr_t end = __atomic_load_n(&objects[i].end, __ATOMIC_RELAXED);

		if (address - start < end - start && copy_object(&objects[i], out))
			return true;
	}
	return false;
}

/* Reads the program headers of an object not seen before. Linkers put them on the first page. */
static bool read_headers(const struct found *found, struct elf_object *out)
{
	const ElfW(Ehdr) *header = found->start;
	const size_t page = 4096;

	if ((uintptr_t)found->end - (uintptr_t)found->start < page ||
	    memcmp(header->e_ident, ELFMAG, SELFMAG) ||
	    header->e_phentsize != sizeof(ElfW(Phdr)) || header->e_phoff >= page ||
	    header->e_phoff + header->e_phnum * sizeof(ElfW(Phdr)) > page)
		return false;
	*out = (struct elf_object){
		.path = found->map->l_name,
		.bias = found->map->l_addr,
		.start = (uintptr_t)found->start,
		.end = (uintptr_t)found->end,
		.phdr = (const void *)((uintptr_t)header + header->e_phoff),
		.phdr_count = header->e_phnum,
	};
	return true;
}

static bool find_by_loader(find_function *find, uintptr_t address, struct cfi_table *table)
{
	struct object object;
	struct elf_object elf;
	struct found found;

	if (find((void *)address, &found) || !found.header)
		return false;
	if (look_up(address, &object) && object.table.header == (uintptr_t)found.header) {
		*table = object.table;
		return true;
	}
	return read_headers(&found, &elf) &&
	       find_table(elf.phdr, elf.phdr_count, elf.bias, table) &&
	       table->header == (uintptr_t)found.header;
}

bool code_find(uintptr_t address, struct cfi_table *table)
{
	find_function *find = __atomic_load_n(&find_object, __ATOMIC_ACQUIRE);
	struct object object;

	if (find)
		return find_by_loader(find, address, table);
	if (!look_up(address, &object))
		return false;
	*table = object.table;
	return true;
}

bool code_object(uintptr_t address, struct elf_object *out)
{
	find_function *find = __atomic_load_n(&find_object, __ATOMIC_ACQUIRE);
	struct found found;

	return find && !find((void *)address, &found) && read_headers(&found, out);
}
