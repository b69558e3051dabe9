/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libunwind is never linked: its _Unwind_* symbols would take over C++'s. A
 * private dlopen clashes with nothing.
 */
#include "stack.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "elf.h"
#include "libssl.h"
#include "mapping.h"
#include "recorder.h"
#include "walk.h"

typedef int unwind_backtrace(void **frames, int size);
static unwind_backtrace *backtrace_function;
/* By steps, until there are too many ways to remember. */
static bool by_steps;

static bool is_libunwind(const struct elf_object *object, void *context)
{
	if (strcmp(elf_soname(object), "libunwind.so.8"))
		return false;
	*(void **)context = elf_symbol(object, "unw_backtrace");
	by_steps = walk_load(object);
	return true;
}

static void *load(void)
{
	typedef void *open_library(const char *name, int flags);
	typedef char *take_error(void);
	open_library *open = (open_library *)elf_find("dlopen");
	take_error *error = (take_error *)elf_find("dlerror");
	void *found = NULL;

	if (open && open("libunwind.so.8", RTLD_LOCAL | RTLD_NOW))
		elf_each(is_libunwind, &found);
	else if (error)
		error();
	return found;
}

/*
 * The loader's locks may have been held by a thread that the fork did not copy. And
 * two libcs in one process give out the same thread-specific keys: libunwind's would be
 * OpenSSL's.
 */
static bool must_not_unwind(void)
{
	return mapping_identity()->threaded_parent || libssl_elsewhere;
}

static void warm_up(unwind_backtrace *backtrace)
{
	struct walk walk;

	if (by_steps)
		walk_take(&walk);
	else
		backtrace(walk.frames, 8);
}

void stack_prepare(void)
{
	static uint32_t tried;
	unwind_backtrace *found;
	int saved = errno;

	if (!control->stacks || must_not_unwind() ||
	    __atomic_exchange_n(&tried, 1, __ATOMIC_ACQ_REL))
		return;
	found = (unwind_backtrace *)load();
	/* the first one takes a hundred microseconds, and memory */
	if (found)
		warm_up(found);
	__atomic_store_n(&backtrace_function, found, __ATOMIC_RELEASE);
	errno = saved;
}

/* ---- module map -------------------------------------------------------------- */

static void copy_build_id(const struct elf_object *object, struct tlstall_module *module)
{
	for (unsigned i = 0; i < object->phdr_count; i++) {
		const ElfW(Phdr) *phdr = &object->phdr[i];
		const char *at = (const char *)(object->bias + phdr->p_vaddr);
		const char *end = at + phdr->p_memsz;

		while (phdr->p_type == PT_NOTE && at + sizeof(ElfW(Nhdr)) < end) {
			const ElfW(Nhdr) *note = (const ElfW(Nhdr) *)at;
			const char *name = at + sizeof(*note);
			const char *id = name + ((note->n_namesz + 3) & ~3u);

			at = id + ((note->n_descsz + 3) & ~3u);
			if (note->n_type != NT_GNU_BUILD_ID || note->n_namesz != 4 ||
			    note->n_descsz > sizeof(module->build_id) || memcmp(name, "GNU", 4))
				continue;
			memcpy(module->build_id, id, note->n_descsz);
			module->build_id_size = note->n_descsz;
			return;
		}
	}
}

static bool module_known(const struct elf_object *object)
{
	uint32_t count = __atomic_load_n(&mapping.header->module_count, __ATOMIC_ACQUIRE);
	uint32_t room = mapping.header->section[TLSTALL_SECTION_MODULES].count;

	for (uint32_t i = 0; i < count && i < room; i++) {
		if (mapping.modules[i].start == object->start &&
		    mapping.modules[i].end == object->end)
			return true;
	}
	return false;
}

static bool note_module(const struct elf_object *object, void *context)
{
	struct tlstall_header *h = mapping.header;
	const char *path = object->path[0] ? object->path : h->program;
	struct tlstall_module *module;
	uint32_t index;

	(void)context;
	if (module_known(object))
		return false;
	index = __atomic_fetch_add(&h->module_count, 1, __ATOMIC_RELAXED);
	if (index >= h->section[TLSTALL_SECTION_MODULES].count) {
		__atomic_fetch_add(&h->lost.modules, 1, __ATOMIC_RELAXED);
		return true;
	}
	module = &mapping.modules[index];
	module->start = object->start;
	module->end = object->end;
	module->bias = object->bias;
	memcpy(module->path, path, strnlen(path, sizeof(module->path) - 1));
	copy_build_id(object, module);
	__atomic_store_n(&module->commit, 1, __ATOMIC_RELEASE);
	return false;
}

static void refresh_modules(void)
{
	static uint64_t seen;
	uint64_t loads = elf_loads();

	if (__atomic_exchange_n(&seen, loads, __ATOMIC_ACQ_REL) != loads)
		elf_each(note_module, NULL);
}

/* ---- stacks ------------------------------------------------------------------- */

/* The frames of the shim itself come first: they say nothing. */
static int skip_own(void *const *frames, int count)
{
	int skip = 0;

	while (skip < count && elf_is_own((uintptr_t)frames[skip]))
		skip++;
	return skip;
}

static uint32_t keep(void *const *frames, int count, int skip)
{
	return recorder_stack(frames + skip, count - skip, refresh_modules);
}

static __attribute__((noinline)) uint32_t take_by_steps(uintptr_t base)
{
	struct walk walk;
	int skip;
	uint32_t id;

	walk_take(&walk);
	skip = skip_own(walk.frames, walk.count);
	id = keep(walk.frames, walk.count, skip);
	if (!walk_remember(base, &walk, skip, id))
		__atomic_store_n(&by_steps, false, __ATOMIC_RELAXED);
	return id;
}

static __attribute__((noinline)) uint32_t take_whole(unwind_backtrace *backtrace)
{
	void *frames[WALK_FRAMES];
	int count = backtrace(frames, WALK_FRAMES);

	return keep(frames, count, skip_own(frames, count));
}

static uint32_t take(unwind_backtrace *backtrace, uintptr_t base)
{
	uint32_t id = walk_known(base);

	if (id)
		return id;
	if (!elf_walk_enter()) {
		__atomic_fetch_add(&mapping.header->lost.stacks, 1, __ATOMIC_RELAXED);
		return 0;
	}
	id = __atomic_load_n(&by_steps, __ATOMIC_RELAXED) ? take_by_steps(base)
							  : take_whole(backtrace);
	elf_walk_leave();
	return id;
}

uint32_t stack_take(void)
{
	int saved = errno;
	unwind_backtrace *backtrace;
	uint32_t id;

	if (!control->stacks)
		return 0;
	if (must_not_unwind()) {
		__atomic_fetch_add(&mapping.header->lost.unwound_in_child, 1, __ATOMIC_RELAXED);
		return 0;
	}
	stack_prepare();
	backtrace = __atomic_load_n(&backtrace_function, __ATOMIC_ACQUIRE);
	if (!backtrace)
		return 0;
	id = take(backtrace, (uintptr_t)__builtin_frame_address(0));
	errno = saved;
	return id;
}
