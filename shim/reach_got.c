/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An object that was opened with RTLD_DEEPBIND finds libssl before it finds us; one that
 * dlmopen put into another namespace never finds us. Their slots for our functions are
 * made to point at us: those that hold an address in a libssl, and those that are not
 * bound yet.
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

/*
 * What is patched must have been relocated, or the loader comes upon a page that we made
 * read-only. So is all that was there when the loads were counted, once they settled.
 */
struct job {
	uint64_t loads;
	struct elf_object beside;
};

static bool patch_ours(void *context)
{
	static uint64_t unloads_seen;
	static size_t objects_seen;
	const struct job *job = context;
	uint64_t unloads = elf_unloads();
	struct progress progress = {.seen = unloads == unloads_seen ? objects_seen : 0};

	if (elf_loads() != job->loads)
		return false;
	elf_each(visit, &progress);
	objects_seen = progress.at;
	unloads_seen = unloads;
	return true;
}

static bool patch_beside(void *context)
{
	const struct job *job = context;
	struct progress progress = {.seen = 0};

	if (elf_loads() != job->loads)
		return false;
	elf_each_beside(&job->beside, visit, &progress);
	return true;
}

/* The walks over our namespace miss some of what is loaded. */
static bool others_exist(uint64_t loads)
{
	static uint64_t loads_seen;
	static bool others;

	if (loads != __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&others, elf_others(), __ATOMIC_RELEASE);
		__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
	}
	return __atomic_load_n(&others, __ATOMIC_ACQUIRE);
}

/* All of another namespace, if that is where an address lies; once, until more is loaded. */
static void reach_beside(const void *found, uint64_t loads)
{
	static const struct link_map *last;
	static uint64_t loads_seen;
	struct job job;

	/* this settles, too */
	if (!elf_elsewhere(found, &job.beside) ||
	    (job.beside.map == __atomic_load_n(&last, __ATOMIC_ACQUIRE) &&
	     loads == __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE)))
		return;
	job.loads = loads;
	libssl_learn_beside(&job.beside);
	if (!elf_hold(patch_beside, &job))
		return;
	__atomic_store_n(&last, job.beside.map, __ATOMIC_RELEASE);
	__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
}

static void reach_ours(uint64_t loads)
{
	static uint64_t loads_seen;
	struct job job;

	if (loads == __atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE))
		return;
	job.loads = loads;
	/* somebody before us in the order has these functions too: not ours to decide */
	if (!libssl_any() || !elf_is_own((uintptr_t)elf_first("SSL_connect")))
		return;
	if (elf_settle() && elf_hold(patch_ours, &job))
		__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
}

void reach_got(const void *found)
{
	uint64_t loads = elf_loads();

	if (others_exist(loads))
		reach_beside(found, loads);
	reach_ours(loads);
}
