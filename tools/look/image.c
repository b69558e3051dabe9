/* SPDX-License-Identifier: Apache-2.0 */
#include "look/image.h"

#include <elf.h>
#include <string.h>
#include <unistd.h>

#include "look/memory.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#error "the ELF number of this architecture is not known"
#endif

/* More program headers than any linker makes: a limit for damaged images. */
#define HEADERS 64
#define ENTRIES 512
#define CHAIN 4096

struct headers {
	Elf64_Phdr list[HEADERS];
	unsigned count;
};

static bool read_headers(int memory, uint64_t start, struct headers *out)
{
	Elf64_Ehdr head;

	if (!memory_read(memory, start, &head, sizeof(head)) ||
	    memcmp(head.e_ident, ELFMAG, SELFMAG) || head.e_ident[EI_CLASS] != ELFCLASS64 ||
	    head.e_machine != MACHINE || !head.e_phnum || head.e_phnum > HEADERS ||
	    head.e_phentsize != sizeof(*out->list))
		return false;
	out->count = head.e_phnum;
	return memory_read(memory, start + head.e_phoff, out->list,
			   out->count * sizeof(*out->list));
}

/* Finds where the image ends, and returns its dynamic section. */
static const Elf64_Phdr *lay_out(const struct headers *headers, struct image *out)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), end = 0;
	const Elf64_Phdr *dynamic = NULL;
	bool first = true;

	for (unsigned i = 0; i < headers->count; i++) {
		const Elf64_Phdr *header = &headers->list[i];

		if (header->p_type == PT_DYNAMIC)
			dynamic = header;
		if (header->p_type != PT_LOAD)
			continue;
		if ((header->p_flags & PF_X) && header->p_memsz > out->code)
			out->code = header->p_memsz;
		if (first)
			out->bias = out->start - header->p_vaddr / page * page;
		first = false;
		if (header->p_vaddr + header->p_memsz > end)
			end = header->p_vaddr + header->p_memsz;
	}
	out->end = out->bias + end;
	return dynamic;
}

/* glibc relocates these pointers in place; musl does not. */
static uint64_t relocated(const struct image *image, uint64_t value)
{
	return value < image->bias ? value + image->bias : value;
}

static void take_entry(struct image *out, const Elf64_Dyn *entry)
{
	switch (entry->d_tag) {
	case DT_SYMTAB:
		out->symbols = relocated(out, entry->d_un.d_ptr);
		break;
	case DT_STRTAB:
		out->strings = relocated(out, entry->d_un.d_ptr);
		break;
	case DT_GNU_HASH:
		out->hash = relocated(out, entry->d_un.d_ptr);
		break;
	case DT_SONAME:
		out->name = entry->d_un.d_val;
		break;
	case DT_NEEDED:
		if (out->needed_count < IMAGE_NEEDED)
			out->needed[out->needed_count++] = entry->d_un.d_val;
		break;
	default:
		break;
	}
}

bool image_read(int memory, uint64_t start, struct image *out)
{
	struct headers headers;
	Elf64_Dyn entries[ENTRIES];
	const Elf64_Phdr *dynamic;
	size_t count;

	*out = (struct image){.memory = memory, .start = start};
	if (!read_headers(memory, start, &headers))
		return false;
	dynamic = lay_out(&headers, out);
	if (!dynamic || out->end <= out->start)
		return false;
	count = dynamic->p_memsz / sizeof(*entries);
	if (count > ENTRIES)
		count = ENTRIES;
	if (!memory_read(memory, out->bias + dynamic->p_vaddr, entries, count * sizeof(*entries)))
		return false;
	for (size_t i = 0; i < count && entries[i].d_tag != DT_NULL; i++)
		take_entry(out, &entries[i]);
	if (out->name)
		out->name += out->strings;
	for (unsigned i = 0; i < out->needed_count; i++)
		out->needed[i] += out->strings;
	return out->symbols && out->strings && out->hash;
}

static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	return hash;
}

struct wanted {
	const char *name;
	int type;
};

static uint64_t defined_as(const struct image *image, uint32_t index, const struct wanted *wanted,
			   uint64_t *size)
{
	Elf64_Sym symbol;
	char text[IMAGE_NAME];

	if (!memory_read(image->memory, image->symbols + sizeof(symbol) * index, &symbol,
			 sizeof(symbol)) ||
	    symbol.st_shndx == SHN_UNDEF || ELF64_ST_TYPE(symbol.st_info) != wanted->type ||
	    !memory_text(image->memory, image->strings + symbol.st_name, text, sizeof(text)) ||
	    strcmp(text, wanted->name) != 0)
		return 0;
	*size = symbol.st_size;
	return image->bias + symbol.st_value;
}

static uint64_t exported(const struct image *image, const struct wanted *wanted, uint64_t *size)
{
	struct {
		uint32_t buckets, first, words, shift;
	} head;
	uint32_t hash = hash_of(wanted->name), index, link;
	uint64_t buckets, chain;

	if (!memory_read(image->memory, image->hash, &head, sizeof(head)) || !head.buckets)
		return 0;
	buckets = image->hash + sizeof(head) + 8ull * head.words;
	chain = buckets + 4ull * head.buckets;
	if (!memory_read(image->memory, buckets + 4ull * (hash % head.buckets), &index,
			 sizeof(index)) ||
	    index < head.first)
		return 0;
	for (unsigned i = 0; i < CHAIN; i++, index++) {
		uint64_t found = 0;

		if (!memory_read(image->memory, chain + 4ull * (index - head.first), &link,
				 sizeof(link)))
			return 0;
		if ((link | 1) == (hash | 1))
			found = defined_as(image, index, wanted, size);
		if (found || (link & 1))
			return found;
	}
	return 0;
}

static uint64_t named(const struct image *image, const char *name, uint64_t *size)
{
	const struct name *found = image->names ? names_find(image->names, name) : NULL;

	if (!found)
		return 0;
	*size = found->size;
	return image->bias + found->value;
}

uint64_t image_function(const struct image *image, const char *name, uint64_t *size)
{
	uint64_t found = exported(image, &(struct wanted){name, STT_FUNC}, size);

	return found ? found : named(image, name, size);
}

uint64_t image_object(const struct image *image, const char *name, uint64_t *size)
{
	return exported(image, &(struct wanted){name, STT_OBJECT}, size);
}
