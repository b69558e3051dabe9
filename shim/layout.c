/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include <stdbool.h>
#include <string.h>

#include "tlstall/look.h"

static void place(struct layout *layout, enum tlstall_section_id id, uint64_t count, size_t size)
{
	layout->section[id] = (struct tlstall_section){
		.offset = layout->size,
		.count = (uint32_t)count,
		.entry_size = (uint32_t)size,
	};
	layout->size += (count * size + 63) & ~63ull;
}

static uint64_t power_below(uint64_t n)
{
	return 1ull << (63 - __builtin_clzll(n));
}

/* Small tables take up to a quarter of the file; slots and the two rings share the rest. */
struct layout layout_plan(uint64_t size)
{
	struct layout l = {.size = 4096};
	bool small = size < (1u << 20);
	uint64_t room;

	place(&l, TLSTALL_SECTION_FUNCTIONS, 64, sizeof(struct tlstall_function));
	place(&l, TLSTALL_SECTION_STATES, 256, sizeof(struct tlstall_string));
	place(&l, TLSTALL_SECTION_STRINGS, small ? 256 : 1024, sizeof(struct tlstall_string));
	place(&l, TLSTALL_SECTION_PROCESSES, small ? 64 : 1024, sizeof(struct tlstall_process));
	place(&l, TLSTALL_SECTION_MODULES, small ? 96 : 512, sizeof(struct tlstall_module));
	place(&l, TLSTALL_SECTION_STACKS, small ? 64 : 512, sizeof(struct tlstall_stack));
	room = size - l.size;
	place(&l, TLSTALL_SECTION_OPENING, power_below(room / 3 / 64),
	      sizeof(struct tlstall_event));
	place(&l, TLSTALL_SECTION_REST, power_below(room / 3 / 64), sizeof(struct tlstall_event));
	place(&l, TLSTALL_SECTION_LOOKS, 0, sizeof(struct tlstall_look));
	place(&l, TLSTALL_SECTION_HISTORY, power_below(room / 16 / sizeof(struct tlstall_summary)),
	      sizeof(struct tlstall_summary));
	place(&l, TLSTALL_SECTION_HANDSHAKES, (size - l.size) / sizeof(struct tlstall_handshake),
	      sizeof(struct tlstall_handshake));
	l.size = size;
	return l;
}

void *layout_section(const struct layout *l, char *base, enum tlstall_section_id id)
{
	return base + l->section[id].offset;
}

static const struct tlstall_function functions[] = {
#define INTERPOSED(name, kind, ...) {TLSTALL_KIND_##kind, {0}, #name},
#include "functions.def"
	{TLSTALL_KIND_INTERNAL, {0}, "(inside OpenSSL)"},
};
TLSTALL_ASSERT(4096 + sizeof(functions) <= LAYOUT_FIRST);

void layout_write(const struct layout *l, struct tlstall_header *header)
{
	header->file_size = l->size;
	header->section_count = LAYOUT_SECTIONS;
	memcpy(header->section, l->section, sizeof(l->section));
	memcpy(layout_section(l, (char *)header, TLSTALL_SECTION_FUNCTIONS), functions,
	       sizeof(functions));
	header->function_count = sizeof(functions) / sizeof(functions[0]);
	header->string_count = header->state_count = header->stack_count = 1; /* id 0: none */
}
