/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks up a stack with unwind tables, where both may contain anything. The tables are this
 * program's own, modified as the input says, in memory of their exact size; the stack is the
 * input, between unreadable pages.
 */
#include <link.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "code.h"
#include "unwind.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define STACK 8192ul
#define PAGE 4096ul

static struct cfi_table tables; /* unmodified */
static uintptr_t code, code_end;

static struct cfi_table changed;
static uint64_t sum; /* uses what was found, so that the compiler cannot drop it */

/* Replaces the loader's search. */
bool code_find(uintptr_t address, struct cfi_table *table)
{
	(void)address;
	*table = changed;
	return true;
}

static int find_own(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size, (void)context;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type == PT_GNU_EH_FRAME)
			tables.header = tables.low = start;
		if (phdr->p_type == PT_LOAD && (phdr->p_flags & PF_X))
			code = start, code_end = start + phdr->p_memsz;
	}
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uintptr_t start = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type == PT_LOAD && tables.header - start < phdr->p_filesz)
			tables.high = start + phdr->p_filesz;
	}
	return 1; /* the program is the first object */
}

/* The input, repeated as needed. */
static const uint8_t *input;
static size_t input_size, input_at;

static uint64_t next(unsigned bytes)
{
	uint64_t value = 0;

	while (bytes--)
		value = value << 8 | input[input_at++ % input_size];
	return value;
}

static void change(uint8_t *copy, size_t size)
{
	static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, 0x0f, 0x10, 0x16, 0x0a, 0x0b, 0x50, 0x9b};

	for (uint64_t left = next(1) % 64; left; left--) {
		uint64_t kind = next(1), at = next(3) % size;

		/* often in the header, or in the first entries of the search table */
		if (kind & 1)
			at %= 4096;
		copy[at] = kind & 2 ? (uint8_t)next(1) : telling[next(1) % sizeof(telling)];
	}
}

static void fill(uint64_t *stack, struct unwind *u, uintptr_t moved)
{
	for (size_t i = 0; i < STACK / 8; i++) {
		uint64_t kind = next(1) % 4;

		stack[i] = kind == 0   ? (uintptr_t)stack + next(2) % (STACK + 64)
			   : kind == 1 ? code + moved + next(3) % (code_end - code)
				       : next(8);
	}
	for (unsigned reg = 0; reg < CFI_REGISTERS; reg++)
		u->reg[reg] = (uintptr_t)stack + next(2) % (STACK + 64);
	u->known = next(4) | 1u << CFI_FP;
	u->sp = u->reg[CFI_SP];
	u->ip = code + moved + next(3) % (code_end - code);
	u->exact = next(1) & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char *map;
	struct readable range;
	struct unwind u = {0};
	size_t length;
	uint8_t *copy;

	if (!map) {
		dl_iterate_phdr(find_own, NULL);
		map = mmap(NULL, STACK + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		mprotect(map + PAGE, STACK, PROT_READ | PROT_WRITE);
	}
	if (!size)
		return 0;
	input = data, input_size = size, input_at = 0;
	length = tables.high - tables.low;
	copy = malloc(length);
	if (!copy)
		abort();
	memcpy(copy, (const void *)tables.low, length);
	change(copy, length);
	changed = (struct cfi_table){(uintptr_t)copy, (uintptr_t)copy + length, (uintptr_t)copy};
	fill((uint64_t *)(void *)(map + PAGE), &u, (uintptr_t)copy - tables.low);
	range = (struct readable){(uintptr_t)map + PAGE, (uintptr_t)map + PAGE + STACK, false, false};
	for (int i = 0; i < 40 && unwind_step(&u, &range); i++)
		sum += u.ip;
	/* then only the tables, all over the code */
	for (int i = 0; i < 20; i++) {
		struct cfi_frame frame;

		sum += cfi_find(&changed, code + (changed.low - tables.low) + next(3) % (code_end - code), &frame);
	}
	free(copy);
	return 0;
}
