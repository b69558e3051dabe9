/* SPDX-License-Identifier: Apache-2.0 */
/* Reads an ELF file with libelf. See object.h. */
#include <errno.h>
#include <gelf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/object.h"

/* More than any real file has, but quick to read. */
#define PHDRS_MAX 512
#define DYNAMIC_MAX 4096u
#define NEEDED_MAX 1024u
#define TEXT_MAX 4096u		/* bytes of one string */
#define STRTAB_MAX (256u << 20) /* bytes */
#define SYMBOLS_MAX (4u << 20)
#define BUCKETS_MAX (1u << 20)
#define NOTES_MAX (1u << 20) /* bytes */
#define NOTE_SEGMENTS_MAX 16

#ifndef DF_1_PIE
#define DF_1_PIE 0x08000000
#endif

struct reading {
	Elf *elf;
	struct object *object;
	uint64_t file_size;
	GElf_Phdr *phdrs;
	size_t phdr_count;
	/* virtual addresses from PT_DYNAMIC; 0: not there */
	uint64_t strtab, strtab_size, symtab, hash, gnu_hash;
	const char *strings;
	uint64_t symbol_count;
};

const char *object_symbol_name(enum object_symbol symbol)
{
	static const char *const names[] = {
#define OBJECT_NAME(name) #name,
		OBJECT_FUNCTIONS(OBJECT_NAME) OBJECT_LOADERS(OBJECT_NAME) OBJECT_MARKS(OBJECT_NAME)
#undef OBJECT_NAME
	};
	return symbol < OBJECT_SYMBOL_COUNT ? names[symbol] : "";
}

/* Bytes of the file as the given type; NULL if they are not all there. */
static Elf_Data *chunk(struct reading *r, uint64_t offset, uint64_t size, Elf_Type type)
{
	if (!size || offset > r->file_size || size > r->file_size - offset)
		return NULL;
	return elf_getdata_rawchunk(r->elf, (int64_t)offset, size, type);
}

/*
 * Converts a virtual address to its place in the file, and says how much follows; 0: it is not
 * there.
 */
static uint64_t to_offset(const struct reading *r, uint64_t address, uint64_t *left)
{
	for (size_t i = 0; i < r->phdr_count; i++) {
		const GElf_Phdr *p = &r->phdrs[i];

		if (p->p_type != PT_LOAD || address < p->p_vaddr ||
		    address - p->p_vaddr >= p->p_filesz || p->p_offset > r->file_size)
			continue;
		*left = p->p_filesz - (address - p->p_vaddr);
		if (p->p_offset + (address - p->p_vaddr) >= r->file_size)
			continue;
		address = p->p_offset + (address - p->p_vaddr);
		if (*left > r->file_size - address)
			*left = r->file_size - address;
		return address;
	}
	*left = 0;
	return 0;
}

static Elf_Data *chunk_at(struct reading *r, uint64_t address, uint64_t size, Elf_Type type)
{
	uint64_t left, offset = to_offset(r, address, &left);

	return size <= left ? chunk(r, offset, size, type) : NULL;
}

/* A terminated string of the dynamic string table, or NULL. */
static const char *string_at(const struct reading *r, uint64_t index)
{
	uint64_t left;

	if (!r->strings || index >= r->strtab_size)
		return NULL;
	left = r->strtab_size - index;
	return memchr(r->strings + index, 0, left < TEXT_MAX ? left : TEXT_MAX) ? r->strings + index
										: NULL;
}

static int keep(char **to, const char *text)
{
	if (!text || *to)
		return 0;
	*to = strdup(text);
	return *to ? 0 : -ENOMEM;
}

static int read_interpreter(struct reading *r, const GElf_Phdr *p)
{
	Elf_Data *data;

	if (p->p_filesz > TEXT_MAX)
		return -EBADMSG;
	data = chunk(r, p->p_offset, p->p_filesz, ELF_T_BYTE);
	if (!data || !memchr(data->d_buf, 0, data->d_size))
		return -EBADMSG;
	return keep(&r->object->interpreter, data->d_buf);
}

static void read_notes(struct reading *r, const GElf_Phdr *p)
{
	Elf_Data *data =
		p->p_filesz <= NOTES_MAX ? chunk(r, p->p_offset, p->p_filesz, ELF_T_NHDR) : NULL;
	GElf_Nhdr note;
	size_t at = 0, name, description;

	while (data && (at = gelf_getnote(data, at, &note, &name, &description)) > 0)
		if (note.n_namesz == 4 && !memcmp((char *)data->d_buf + name, "Go", 3))
			r->object->go = true;
}

static void note_code(struct reading *r, const GElf_Phdr *p)
{
	if (p->p_type == PT_LOAD && (p->p_flags & (PF_R | PF_W | PF_X)) == (PF_R | PF_X) &&
	    p->p_memsz > r->object->code)
		r->object->code = p->p_memsz;
}

/* Searches constants only in read-only segments, and in code only if there are no others. */
static void find_constants(struct reading *r)
{
	struct object *object = r->object;

	for (int with_code = 0; with_code < 2 && !object->constant_count; with_code++)
		for (size_t i = 0; i < r->phdr_count; i++) {
			const GElf_Phdr *p = &r->phdrs[i];

			if (p->p_type != PT_LOAD || p->p_flags & PF_W || !p->p_filesz ||
			    (p->p_flags & PF_X && !with_code) ||
			    object->constant_count == OBJECT_RANGES_MAX)
				continue;
			object->constants[object->constant_count++] =
				(struct object_range){p->p_offset, p->p_filesz};
		}
}

static void note_address(struct reading *r, const GElf_Dyn *dyn)
{
	switch (dyn->d_tag) {
	case DT_STRTAB:
		r->strtab = dyn->d_un.d_ptr;
		break;
	case DT_STRSZ:
		r->strtab_size = dyn->d_un.d_val;
		break;
	case DT_SYMTAB:
		r->symtab = dyn->d_un.d_ptr;
		break;
	case DT_HASH:
		r->hash = dyn->d_un.d_ptr;
		break;
	case DT_GNU_HASH:
		r->gnu_hash = dyn->d_un.d_ptr;
		break;
	case DT_FLAGS_1:
		r->object->pie = dyn->d_un.d_val & DF_1_PIE;
		r->object->nodeflib = dyn->d_un.d_val & DF_1_NODEFLIB;
		break;
	}
}

static int add_needed(struct reading *r, const char *name)
{
	struct object *object = r->object;
	char **grown;

	if (!name || !*name || object->needed_count == NEEDED_MAX)
		return 0;
	grown = realloc(object->needed, (object->needed_count + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	object->needed = grown;
	grown[object->needed_count] = strdup(name);
	return grown[object->needed_count++] ? 0 : -ENOMEM;
}

static int note_string(struct reading *r, const GElf_Dyn *dyn)
{
	struct object *object = r->object;
	const char *text = string_at(r, dyn->d_un.d_val);

	switch (dyn->d_tag) {
	case DT_NEEDED:
		return add_needed(r, text);
	case DT_SONAME:
		return keep(&object->soname, text);
	case DT_RPATH:
		return keep(&object->rpath, text);
	case DT_RUNPATH:
		return keep(&object->runpath, text);
	}
	return 0;
}

static size_t dynamic_count(Elf_Data *data)
{
	GElf_Dyn dyn;
	size_t count = 0;

	while (count < DYNAMIC_MAX && gelf_getdyn(data, (int)count, &dyn) && dyn.d_tag != DT_NULL)
		count++;
	return count;
}

static int load_strings(struct reading *r)
{
	uint64_t left, offset = to_offset(r, r->strtab, &left);
	Elf_Data *data;

	if (!r->strtab || !r->strtab_size)
		return 0;
	if (r->strtab_size > left || r->strtab_size > STRTAB_MAX)
		return -EBADMSG;
	data = chunk(r, offset, r->strtab_size, ELF_T_BYTE);
	if (!data)
		return -EBADMSG;
	r->strings = data->d_buf;
	r->object->strtab = (struct object_range){offset, r->strtab_size};
	return 0;
}

static int read_dynamic(struct reading *r, const GElf_Phdr *p)
{
	uint64_t entry = gelf_fsize(r->elf, ELF_T_DYN, 1, EV_CURRENT);
	uint64_t size = p->p_filesz < DYNAMIC_MAX * entry ? p->p_filesz : DYNAMIC_MAX * entry;
	Elf_Data *data = chunk(r, p->p_offset, size / entry * entry, ELF_T_DYN);
	GElf_Dyn dyn;
	size_t count;
	int ret;

	r->object->dynamic = true;
	if (!data)
		return -EBADMSG;
	count = dynamic_count(data);
	for (size_t i = 0; i < count; i++)
		if (gelf_getdyn(data, (int)i, &dyn))
			note_address(r, &dyn);
	ret = load_strings(r);
	for (size_t i = 0; i < count && ret == 0; i++)
		if (gelf_getdyn(data, (int)i, &dyn))
			ret = note_string(r, &dyn);
	return ret;
}

static uint32_t word(const Elf_Data *data, size_t index)
{
	return index < data->d_size / 4 ? ((const uint32_t *)data->d_buf)[index] : 0;
}

/* The highest symbol that a GNU hash table reaches, and then on to the end of its chain. */
static uint64_t count_by_gnu_hash(struct reading *r)
{
	uint64_t mask_word = r->object->class == ELFCLASS64 ? 8 : 4;
	Elf_Data *head = chunk_at(r, r->gnu_hash, 16, ELF_T_WORD), *buckets, *chain;
	uint64_t at, last = 0, left, offset;
	uint32_t bucket_count, first;

	if (!head)
		return 0;
	bucket_count = word(head, 0);
	first = word(head, 1);
	at = r->gnu_hash + 16 + word(head, 2) * mask_word;
	if (!bucket_count || bucket_count > BUCKETS_MAX)
		return 0;
	buckets = chunk_at(r, at, bucket_count * 4ull, ELF_T_WORD);
	for (uint32_t i = 0; buckets && i < bucket_count; i++)
		if (word(buckets, i) > last)
			last = word(buckets, i);
	if (!buckets || last < first)
		return 0; /* exports nothing: the table is a dummy */
	at += bucket_count * 4ull + (last - first) * 4ull;
	offset = to_offset(r, at, &left);
	left = left / 4 < SYMBOLS_MAX ? left / 4 : SYMBOLS_MAX;
	/* a real chain is short; a hostile one ends with the file */
	chain = chunk(r, offset, (left < 4096 ? left : 4096) * 4, ELF_T_WORD);
	for (uint64_t i = 0; chain && i < chain->d_size / 4; i++)
		if (word(chain, i) & 1)
			return last + i + 1;
	return last + 1;
}

static uint64_t count_symbols(struct reading *r, uint64_t entry)
{
	uint64_t left, count = 0;
	Elf_Data *head = r->hash ? chunk_at(r, r->hash, 8, ELF_T_WORD) : NULL;

	to_offset(r, r->symtab, &left);
	if (head)
		count = word(head, 1);
	else if (r->gnu_hash)
		count = count_by_gnu_hash(r);
	/* without a hash table: linkers put the strings right after the symbols */
	if (!count && r->strtab > r->symtab)
		count = (r->strtab - r->symtab) / entry;
	if (!count || count > left / entry)
		count = left / entry;
	return count < SYMBOLS_MAX ? count : SYMBOLS_MAX;
}

uint32_t object_symbol_bit(const char *name)
{
	for (int i = 0; i < OBJECT_SYMBOL_COUNT; i++)
		if (!strcmp(name, object_symbol_name(i)))
			return 1u << i;
	return 0;
}

static void note_symbol(struct reading *r, const GElf_Sym *symbol)
{
	const char *name;
	uint32_t bit;

	/* the first letter rules out nearly all */
	if (symbol->st_name >= r->strtab_size || !strchr("SdCs", r->strings[symbol->st_name]))
		return;
	name = string_at(r, symbol->st_name);
	bit = name ? object_symbol_bit(name) : 0;
	if (symbol->st_shndx == SHN_UNDEF)
		r->object->imports |= bit;
	else
		r->object->exports |= bit;
}

static void read_symbols(struct reading *r)
{
	uint64_t entry = gelf_fsize(r->elf, ELF_T_SYM, 1, EV_CURRENT);
	Elf_Data *data;
	GElf_Sym symbol;

	if (!r->symtab || !r->strings)
		return;
	r->symbol_count = count_symbols(r, entry);
	data = chunk_at(r, r->symtab, r->symbol_count * entry, ELF_T_SYM);
	for (uint64_t i = 1; data && i < r->symbol_count; i++)
		if (gelf_getsym(data, (int)i, &symbol))
			note_symbol(r, &symbol);
}

static int read_segments(struct reading *r)
{
	int ret = 0, notes = 0;

	find_constants(r);
	for (size_t i = 0; i < r->phdr_count && ret == 0; i++) {
		const GElf_Phdr *p = &r->phdrs[i];

		note_code(r, p);
		if (p->p_type == PT_INTERP)
			ret = read_interpreter(r, p);
		else if (p->p_type == PT_NOTE && notes++ < NOTE_SEGMENTS_MAX)
			read_notes(r, p);
		else if (p->p_type == PT_DYNAMIC && !r->object->dynamic)
			ret = read_dynamic(r, p);
	}
	if (ret == 0)
		read_symbols(r);
	return ret;
}

static int read_headers(struct reading *r)
{
	GElf_Ehdr header;
	size_t count;

	if (elf_kind(r->elf) != ELF_K_ELF || !gelf_getehdr(r->elf, &header))
		return -EBADMSG;
	r->object->class = header.e_ident[EI_CLASS];
	r->object->data = header.e_ident[EI_DATA];
	r->object->machine = header.e_machine;
	r->object->type = header.e_type;
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (elf_getphdrnum(r->elf, &count) != 0 || !count)
		return -EBADMSG;
	count = count < PHDRS_MAX ? count : PHDRS_MAX;
	r->phdrs = calloc(count, sizeof(*r->phdrs));
	if (!r->phdrs)
		return -ENOMEM;
	while (r->phdr_count < count &&
	       gelf_getphdr(r->elf, (int)r->phdr_count, &r->phdrs[r->phdr_count]))
		r->phdr_count++;
	return r->phdr_count == count ? 0 : -EBADMSG;
}

static int read_elf(Elf *elf, const char *magic, uint64_t size, struct object *object)
{
	struct reading reading = {.elf = elf, .object = object, .file_size = size};
	int ret;

	ret = memcmp(magic, ELFMAG, SELFMAG) ? -ENOEXEC : elf ? 0 : -EBADMSG;
	if (ret == 0)
		ret = read_headers(&reading);
	if (ret == 0)
		ret = read_segments(&reading);
	/* libelf and we tell of nothing else by errno; what lacks memory looks damaged, or is left out */
	if (errno == ENOMEM)
		ret = -ENOMEM;
	free(reading.phdrs);
	elf_end(elf);
	if (ret != 0)
		object_free(object);
	return ret;
}

int object_read(int fd, struct object *object)
{
	struct stat status;
	char magic[SELFMAG] = "";

	elf_version(EV_CURRENT);
	*object = (struct object){0};
	if (fstat(fd, &status) != 0 || pread(fd, magic, sizeof(magic), 0) < 0)
		return -EIO;
	errno = 0;
	return read_elf(elf_begin(fd, ELF_C_READ, NULL), magic, (uint64_t)status.st_size, object);
}

int object_read_bytes(const void *bytes, size_t size, struct object *object)
{
	elf_version(EV_CURRENT);
	*object = (struct object){0};
	if (size < SELFMAG)
		return -ENOEXEC;
	errno = 0;
	return read_elf(elf_memory((char *)bytes, size), bytes, size, object);
}

void object_free(struct object *object)
{
	for (size_t i = 0; i < object->needed_count; i++)
		free(object->needed[i]);
	free(object->needed);
	free(object->interpreter);
	free(object->soname);
	free(object->rpath);
	free(object->runpath);
	*object = (struct object){0};
}
