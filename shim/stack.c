/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include <errno.h>
#include <string.h>

#include "ask.h"
#include "code.h"
#include "elf.h"
#include "mapping.h"
#include "readable.h"
#include "recorder.h"
#include "settings.h"
#include "walk.h"

/* `tlstall ctl` switches stacks on and off, but cannot override the privacy setting. */
static bool is_wanted(void)
{
	return control->stacks && !(settings.privacy & TLSTALL_PRIVACY_STACKS);
}

/* A lock that another thread held at the fork stays locked in the child. */
static bool may_lock(void)
{
	return !mapping_identity()->threaded_parent;
}

void stack_prepare(void)
{
	static uint32_t tried;
	int saved = errno;

	if (!is_wanted() || __atomic_load_n(&tried, __ATOMIC_RELAXED) ||
	    __atomic_exchange_n(&tried, 1, __ATOMIC_ACQ_REL))
		return;
	code_prepare();
	readable_prepare();
	code_refresh(may_lock());
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

	for (uint32_t i = 0; i < count && i < mapping.module_room; i++) {
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
	if (index >= mapping.module_room) {
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

/* Only the objects of these frames, because the loader's lock may never be free. */
static void note_modules_of(void *const *frames, int count)
{
	for (int i = 0; i < count; i++) {
		struct elf_object object;

		if (code_object((uintptr_t)frames[i] - 1, &object))
			note_module(&object, NULL);
	}
}

static void note_modules(void *const *frames, int count)
{
	static uint64_t seen;
	uint64_t loads;

	if (!may_lock()) {
		note_modules_of(frames, count);
		return;
	}
	/* a file that replaced a lost one has no modules */
	loads = elf_loads() + ((uint64_t)mapping.generation << 48);
	if (__atomic_exchange_n(&seen, loads, __ATOMIC_ACQ_REL) != loads)
		elf_each(note_module, NULL);
}

/* ---- stacks ------------------------------------------------------------------- */

/* Skips the shim's own frames. */
static int skip_own(const struct walk *walk)
{
	int skip = 0;

	while (skip < walk->count && elf_is_own((uintptr_t)walk->frames[skip]))
		skip++;
	return skip;
}

static __attribute__((noinline)) uint32_t take(uintptr_t base)
{
	struct walk walk;
	uint32_t id;
	int skip;

	stack_prepare();
	code_refresh(may_lock());
	walk_take(&walk, ask_may());
	skip = skip_own(&walk);
	id = recorder_stack(walk.frames + skip, walk.count - skip, note_modules);
	walk_remember(base, &walk, id);
	return id;
}

/* Not inlined: words are compared from this frame upward. */
__attribute__((noinline)) uint32_t stack_take(void)
{
	uintptr_t base = (uintptr_t)__builtin_frame_address(0);
	int saved = errno;
	uint32_t id;

	if (!is_wanted())
		return 0;
	/* the known stacks were in the file that was lost */
	id = mapping.generation ? 0 : walk_known(base);
	if (!id)
		id = take(base);
	errno = saved;
	return id;
}
