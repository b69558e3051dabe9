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

/*
 * A known path may lead through an object that was unloaded. Its address comes back only if
 * another one is loaded, and that one's functions are looked up, or make a context.
 */
void stack_refresh(void)
{
	static uint64_t seen;
	uint64_t unloads;
	int saved = errno;

	if (!mapping.header || elf_may_be_locked())
		return;
	unloads = elf_unloads();
	if (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) != unloads) {
		walk_forget();
		__atomic_store_n(&seen, unloads, __ATOMIC_RELEASE);
	}
	errno = saved;
}

void stack_prepare(void)
{
	static uint32_t tried;
	int saved = errno;

	if (!is_wanted())
		return;
	if (may_lock())
		stack_refresh();
	if (__atomic_load_n(&tried, __ATOMIC_RELAXED) ||
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

static void describe(const struct elf_object *object, struct tlstall_module *module)
{
	const char *path = object->path[0] ? object->path : mapping.header->program;

	module->start = object->start;
	module->end = object->end;
	module->bias = object->bias;
	memcpy(module->path, path, strnlen(path, sizeof(module->path) - 1));
	copy_build_id(object, module);
}

#define NOWHERE UINT32_MAX

/*
 * The entry of an object. `*first`: no other one, of an object that was unloaded or is another
 * process's, has its address. The file may contain anything: it decides only about names.
 */
static uint32_t find_module(const struct elf_object *object, bool *first)
{
	struct tlstall_module wanted = {.commit = 1};
	uint32_t count = __atomic_load_n(&mapping.header->module_count, __ATOMIC_ACQUIRE);
	bool described = false;

	*first = true;
	for (uint32_t i = 0; i < count && i < mapping.module_room; i++) {
		const struct tlstall_module *module = &mapping.modules[i];

		/* another process is writing it, or died before it had: it may be of this address, too */
		if (!__atomic_load_n(&module->commit, __ATOMIC_ACQUIRE)) {
			*first = false;
			continue;
		}
		if (module->start >= object->end || module->end <= object->start)
			continue;
		if (!described)
			describe(object, &wanted);
		described = true;
		if (!memcmp(module, &wanted, sizeof(wanted)))
			return i;
		*first = false;
	}
	return NOWHERE;
}

/* An object has not been the first at its address. */
static bool any_later;

/* The new entry of an object; NOWHERE: there is no room. */
static uint32_t add_module(const struct elf_object *object)
{
	struct tlstall_header *h = mapping.header;
	uint32_t index = __atomic_fetch_add(&h->module_count, 1, __ATOMIC_RELAXED);

	if (index >= mapping.module_room) {
		__atomic_fetch_add(&h->lost.modules, 1, __ATOMIC_RELAXED);
		return NOWHERE;
	}
	describe(object, &mapping.modules[index]);
	__atomic_store_n(&mapping.modules[index].commit, 1, __ATOMIC_RELEASE);
	return index;
}

static uint32_t module_of(const struct elf_object *object, bool *first)
{
	uint32_t index = find_module(object, first);

	if (!*first)
		__atomic_store_n(&any_later, true, __ATOMIC_RELAXED);
	return index == NOWHERE ? add_module(object) : index;
}

static bool note_module(const struct elf_object *object, void *context)
{
	bool first;

	(void)context;
	return module_of(object, &first) == NOWHERE;
}

struct naming {
	void *const *frames;
	int count;
	uint16_t module; /* for struct tlstall_stack */
	bool lost;	 /* there was no room for the module of a frame, whose address another has */
};

static bool holds_frame(const struct elf_object *object, const struct naming *naming)
{
	for (int i = 0; i < naming->count; i++) {
		if ((uintptr_t)naming->frames[i] - 1 - object->start < object->end - object->start)
			return true;
	}
	return false;
}

static bool name_object(const struct elf_object *object, void *context)
{
	struct naming *naming = context;
	uint32_t index;
	bool first;

	if (!holds_frame(object, naming))
		return false;
	index = module_of(object, &first);
	if (first)
		return false;
	if (index == NOWHERE)
		naming->lost = true;
	else if (naming->module != index + 1)
		naming->module = naming->module ? TLSTALL_SEVERAL_MODULES : (uint16_t)(index + 1);
	return false;
}

/* Only the objects of these frames, because the loader's lock may never be free. */
static void name_by_frames(struct naming *naming)
{
	for (int i = 0; i < naming->count; i++) {
		struct elf_object object;

		if (code_object((uintptr_t)naming->frames[i] - 1, &object))
			name_object(&object, naming);
	}
}

/* Notes the modules of these frames, and which of them is not the first at its address. */
static void note_modules(struct naming *naming)
{
	static uint64_t seen;
	uint64_t loads;

	if (!may_lock()) {
		name_by_frames(naming);
		return;
	}
	/* a file that replaced a lost one has no modules */
	loads = elf_loads() + ((uint64_t)mapping.generation << 48);
	if (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) != loads) {
		elf_each(note_module, NULL);
		__atomic_store_n(&seen, loads, __ATOMIC_RELEASE);
	}
	if (__atomic_load_n(&any_later, __ATOMIC_RELAXED))
		elf_each(name_object, naming);
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

static uint32_t record(const struct walk *walk)
{
	int skip = skip_own(walk);
	struct naming naming = {.frames = walk->frames + skip, .count = walk->count - skip};

	note_modules(&naming);
	if (!naming.lost)
		return recorder_stack(naming.frames, naming.count, naming.module);
	__atomic_fetch_add(&mapping.header->lost.stacks, 1, __ATOMIC_RELAXED);
	return 0;
}

static __attribute__((noinline)) uint32_t take(uintptr_t base)
{
	struct walk walk;
	uint32_t id;

	stack_prepare();
	code_refresh(may_lock());
	walk_take(&walk, ask_may());
	id = record(&walk);
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
