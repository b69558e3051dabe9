/* SPDX-License-Identifier: Apache-2.0 */
#include "symtab.h"

#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "system.h"

/* More than any known program has; bounds the cost of a damaged file. */
#define SECTIONS_MAX 512u
#define TABLE_MAX (96u << 20) /* bytes */
#define NAME_MAX_SIZE 64
#define BUCKETS 256u

struct table {
	const void *data;
	size_t size;
	void *map;
	size_t map_size;
};

struct reading {
	int fd;
	uint64_t file_size;
	const struct elf_object *object;
	const char *(*name)(size_t i);
	size_t count;
	struct symtab_function *found;
	struct table symbols, strings;
	bool begins[256]; /* whether a name begins with that letter */
	uint8_t bucket[BUCKETS], next[SYMTAB_NAMES]; /* names by hash, counted from 1; 0: none */
};

static bool read_at(const struct reading *r, uint64_t offset, void *to, size_t size)
{
	return offset <= INT64_MAX && system_pread(r->fd, to, size, (off_t)offset) == (ssize_t)size;
}

/* ---- the file --------------------------------------------------------------------- */

static bool open_regular(struct reading *r, const char *path)
{
	struct statx st;

	r->fd = system_open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
	if (r->fd < 0)
		return false;
	if (system_statx(r->fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_SIZE, &st) ||
	    !S_ISREG(st.stx_mode)) {
		system_close(r->fd);
		return false;
	}
	r->file_size = st.stx_size;
	return true;
}

/* Whether this is the loaded file: it has the same program headers. */
static bool is_its_file(const struct reading *r, const ElfW(Ehdr) * header)
{
	ElfW(Phdr) phdr[64];
	size_t size = r->object->phdr_count * sizeof(*phdr);

	return !memcmp(header->e_ident, ELFMAG, SELFMAG) &&
	       header->e_phentsize == sizeof(*phdr) && header->e_phnum == r->object->phdr_count &&
	       size <= sizeof(phdr) && read_at(r, header->e_phoff, phdr, size) &&
	       !memcmp(phdr, r->object->phdr, size);
}

/*
 * Mapped, so that a large table does not count as the program's memory. Whoever truncates the file
 * meanwhile truncates the running code, too.
 */
static bool load(const struct reading *r, const ElfW(Shdr) * section, struct table *out)
{
	uint64_t before = section->sh_offset % (uint64_t)getauxval(AT_PAGESZ);
	void *map;

	if (!section->sh_size || section->sh_size > TABLE_MAX ||
	    section->sh_offset > r->file_size || section->sh_size > r->file_size - section->sh_offset)
		return false;
	map = system_mmap(NULL, section->sh_size + before, PROT_READ, MAP_PRIVATE | MAP_POPULATE,
			  r->fd, (off_t)(section->sh_offset - before));
	if (map == MAP_FAILED)
		return false;
	*out = (struct table){(char *)map + before, section->sh_size, map, section->sh_size + before};
	return true;
}

static void unload(const struct table *table)
{
	if (table->map)
		system_munmap(table->map, table->map_size);
}

/* Whether the last string is terminated. */
static bool ends(const struct table *strings)
{
	return !((const char *)strings->data)[strings->size - 1];
}

static bool load_tables(struct reading *r, const ElfW(Ehdr) * header)
{
	ElfW(Shdr) sections[SECTIONS_MAX];
	unsigned count = header->e_shnum;

	if (!count || count > SECTIONS_MAX || header->e_shentsize != sizeof(*sections) ||
	    !read_at(r, header->e_shoff, sections, count * sizeof(*sections)))
		return false;
	for (unsigned i = 0; i < count; i++) {
		if (sections[i].sh_type == SHT_SYMTAB && sections[i].sh_link < count)
			return load(r, &sections[i], &r->symbols) &&
			       load(r, &sections[sections[i].sh_link], &r->strings) &&
			       ends(&r->strings);
	}
	return false;
}

/* ---- the names -------------------------------------------------------------------- */

static unsigned bucket_of(const char *name)
{
	uint32_t hash = 5381;

	for (int i = 0; i < NAME_MAX_SIZE && name[i]; i++)
		hash = hash * 33 + (unsigned char)name[i];
	return (hash ^ hash >> 8) % BUCKETS;
}

static void index_names(struct reading *r)
{
	for (size_t i = 0; i < r->count; i++) {
		unsigned bucket = bucket_of(r->name(i));

		r->next[i] = r->bucket[bucket];
		r->bucket[bucket] = (uint8_t)(i + 1);
		r->begins[(unsigned char)*r->name(i)] = true;
	}
}

/* Counted from 1; 0: not one of our names, like nearly all. */
static unsigned number_of(const struct reading *r, const char *text)
{
	unsigned number;

	if (!r->begins[(unsigned char)*text])
		return 0;
	number = r->bucket[bucket_of(text)];
	while (number && strcmp(r->name(number - 1), text) != 0)
		number = r->next[number - 1];
	return number;
}

/* False: two functions have that name. */
static bool note(const struct reading *r, unsigned number, const ElfW(Sym) * symbol)
{
	struct symtab_function *found = &r->found[number - 1];
	uintptr_t address = r->object->bias + symbol->st_value;

	if (found->address && found->address != address)
		return false;
	*found = (struct symtab_function){address, symbol->st_size};
	return true;
}

static bool find_all(const struct reading *r)
{
	const ElfW(Sym) *symbols = r->symbols.data;
	const char *strings = r->strings.data;

	for (size_t i = 0; i < r->symbols.size / sizeof(*symbols); i++) {
		size_t at = symbols[i].st_name;
		unsigned number;

		if (ELF64_ST_TYPE(symbols[i].st_info) != STT_FUNC ||
		    symbols[i].st_shndx == SHN_UNDEF || at >= r->strings.size)
			continue;
		number = number_of(r, strings + at);
		if (number && !note(r, number, &symbols[i]))
			return false;
	}
	return true;
}

static bool read_file(struct reading *r)
{
	ElfW(Ehdr) header;
	bool good = read_at(r, 0, &header, sizeof(header)) && is_its_file(r, &header) &&
		    load_tables(r, &header);

	if (good) {
		index_names(r);
		good = find_all(r);
	}
	unload(&r->symbols);
	unload(&r->strings);
	return good;
}

bool symtab_find(const struct elf_object *object, const char *path,
		 const char *(*name)(size_t i), size_t count, struct symtab_function *found)
{
	struct reading r = {
		.object = object, .name = name, .count = count, .found = found};
	bool good;

	memset(found, 0, count * sizeof(*found));
	if (count > SYMTAB_NAMES || !open_regular(&r, path))
		return false;
	good = read_file(&r);
	system_close(r.fd);
	return good;
}
