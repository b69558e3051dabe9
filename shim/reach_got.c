/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object that was opened with RTLD_DEEPBIND finds libssl before it finds us. Its
 * slots for our functions are made to point at us: those that hold an address in a
 * libssl, and those that are not bound yet.
 */
#include "reach.h"

#include <sys/mman.h>
#include <unistd.h>

#include "elf.h"

#if defined(__x86_64__)
#define SLOT_TYPE(type)                                                                            \
	((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT || (type) == R_X86_64_64)
#elif defined(__aarch64__)
#define SLOT_TYPE(type)                                                                            \
	((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT || (type) == R_AARCH64_ABS64)
#else
#define SLOT_TYPE(type) 0
#endif

struct range {
	uintptr_t start, end;
};

/* What the loader made read-only once it had relocated the object: whole pages. */
static struct range relro(const struct elf_object *object)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	for (unsigned i = 0; i < object->phdr_count; i++) {
		const ElfW(Phdr) *phdr = &object->phdr[i];
		uintptr_t start = object->bias + phdr->p_vaddr;

		if (phdr->p_type == PT_GNU_RELRO)
			return (struct range){start & -page, (start + phdr->p_memsz) & -page};
	}
	return (struct range){0, 0};
}

static void store(uintptr_t *slot, void *wrapper, struct range read_only)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)slot;
	void *start = (void *)(at & -page);
	bool locked = at >= read_only.start && at < read_only.end;

	if (locked && mprotect(start, page, PROT_READ | PROT_WRITE))
		return;
	__atomic_store_n(slot, (uintptr_t)wrapper, __ATOMIC_RELEASE);
	if (locked)
		mprotect(start, page, PROT_READ);
}

/* The slot leads into a libssl, or back to the object's own stub that will look it up. */
static bool leads_past_us(const struct elf_object *object, uintptr_t value)
{
	return (value >= object->start && value < object->end) ||
	       libssl_holding((const void *)value);
}

static void patch_one(const struct elf_object *object, const ElfW(Rela) * rela,
		      struct range read_only)
{
	const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(rela->r_info)];
	uintptr_t *slot = (uintptr_t *)(object->bias + rela->r_offset);
	void *wrapper;

	if (symbol->st_shndx != SHN_UNDEF || !SLOT_TYPE(ELF64_R_TYPE(rela->r_info)))
		return;
	wrapper = reach_wrapper(object->strings + symbol->st_name);
	if (wrapper && *slot != (uintptr_t)wrapper && leads_past_us(object, *slot))
		store(slot, wrapper, read_only);
}

static void patch_table(const struct elf_object *object, const ElfW(Rela) * rela, size_t size)
{
	struct range read_only = relro(object);

	for (size_t i = 0; rela && i < size / sizeof(*rela); i++) {
		if (ELF64_R_SYM(rela[i].r_info))
			patch_one(object, &rela[i], read_only);
	}
}

static void patch(const struct elf_object *object)
{
	patch_table(object, elf_pointer(object, DT_JMPREL), elf_value(object, DT_PLTRELSZ));
	patch_table(object, elf_pointer(object, DT_RELA), elf_value(object, DT_RELASZ));
}

/* Objects are appended: when none went away, those seen before come first. */
struct progress {
	size_t seen, at;
};

static bool visit(const struct elf_object *object, void *context)
{
	struct progress *progress = context;

	if (progress->at++ < progress->seen || elf_is_own(object->start) ||
	    libssl_holding((const void *)object->start))
		return false;
	patch(object);
	return false;
}

void reach_got(void)
{
	static uint64_t loads_seen, unloads_seen;
	static size_t objects_seen;
	uint64_t loads = elf_loads(), unloads;
	struct progress progress = {.seen = 0};

	if (loads == __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE))
		return;
	/* somebody before us in the order has these functions too: not ours to decide */
	if (!libssl_any() || !elf_is_own((uintptr_t)elf_first("SSL_connect")))
		return;
	unloads = elf_unloads();
	if (unloads == __atomic_load_n(&unloads_seen, __ATOMIC_ACQUIRE))
		progress.seen = __atomic_load_n(&objects_seen, __ATOMIC_ACQUIRE);
	elf_each(visit, &progress);
	__atomic_store_n(&objects_seen, progress.at, __ATOMIC_RELEASE);
	__atomic_store_n(&unloads_seen, unloads, __ATOMIC_RELEASE);
	__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
}
