/* SPDX-License-Identifier: Apache-2.0 */
#include "slots.h"
#include "system.h"

#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OF_CALL R_X86_64_JUMP_SLOT
#define SLOT_TYPE(type)                                                                            \
	((type) == R_X86_64_JUMP_SLOT || (type) == R_X86_64_GLOB_DAT || (type) == R_X86_64_64)
#elif defined(__aarch64__)
#define OF_CALL R_AARCH64_JUMP_SLOT
#define SLOT_TYPE(type)                                                                            \
	((type) == R_AARCH64_JUMP_SLOT || (type) == R_AARCH64_GLOB_DAT || (type) == R_AARCH64_ABS64)
#else
#define OF_CALL 0
#define SLOT_TYPE(type) 0
#endif

/* Whether a slot is on the whole pages that the loader makes read-only after relocating the object. */
static bool is_read_only(const struct elf_object *object, uintptr_t at, uintptr_t page)
{
	for (unsigned i = 0; i < object->phdr_count; i++) {
		const ElfW(Phdr) *phdr = &object->phdr[i];
		uintptr_t start = object->bias + phdr->p_vaddr;

		if (phdr->p_type == PT_GNU_RELRO)
			return at >= (start & -page) && at < ((start + phdr->p_memsz) & -page);
	}
	return false;
}

bool slots_store(const struct slot *slot, uintptr_t value)
{
	uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ), at = (uintptr_t)slot->at;
	void *start = (void *)(at & -page);
	bool locked = is_read_only(slot->object, at, page);

	if (locked && system_mprotect(start, page, PROT_READ | PROT_WRITE))
		return false;
	__atomic_store_n(slot->at, value, __ATOMIC_RELEASE);
	if (locked)
		system_mprotect(start, page, PROT_READ);
	return true;
}

static void each_of_table(const struct elf_object *object, const ElfW(Rela) * rela, size_t count,
			  slot_function *one)
{
	for (size_t i = 0; rela && i < count; i++) {
		uint32_t type = (uint32_t)ELF64_R_TYPE(rela[i].r_info);
		const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(rela[i].r_info)];

		if (symbol == object->symbols || !SLOT_TYPE(type))
			continue;
		one(&(struct slot){
			.object = object,
			.symbol = symbol,
			.name = object->strings + symbol->st_name,
			.at = (uintptr_t *)(object->bias + rela[i].r_offset),
			.of_call = type == OF_CALL,
		});
	}
}

void slots_each(const struct elf_object *object, slot_function *one)
{
	const ElfW(Rela) *rela = elf_pointer(object, DT_RELA);
	/* the linker puts those without a symbol first */
	size_t count = elf_value(object, DT_RELASZ) / sizeof(*rela),
	       relative = elf_value(object, DT_RELACOUNT);

	each_of_table(object, elf_pointer(object, DT_JMPREL),
		      elf_value(object, DT_PLTRELSZ) / sizeof(*rela), one);
	if (rela && relative <= count)
		each_of_table(object, rela + relative, count - relative, one);
}
