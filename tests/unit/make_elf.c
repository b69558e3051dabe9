/* SPDX-License-Identifier: Apache-2.0 */
/* ELF files of one page. See make_elf.h. */
#include "make_elf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scratch.h"

static void add_phdr(struct elf_file *file, unsigned type, size_t offset, size_t size)
{
	*phdr_of(file, file->phdrs++) = (Elf64_Phdr){.p_type = type,
						     .p_flags = PF_R,
						     .p_offset = offset,
						     .p_vaddr = offset,
						     .p_filesz = size,
						     .p_memsz = size};
	ehdr_of(file)->e_phnum = (Elf64_Half)file->phdrs;
}

static size_t add_string(struct elf_file *file, const char *text)
{
	size_t at = file->strings;

	assert_true(AT_STRINGS + at + strlen(text) + 1 < AT_HASH);
	strcpy((char *)file->bytes + AT_STRINGS + at, text);
	file->strings += strlen(text) + 1;
	return at;
}

static void add_tag(struct elf_file *file, Elf64_Sxword which, uint64_t value)
{
	*tag_of(file, file->tags++) = (Elf64_Dyn){.d_tag = which, .d_un.d_val = value};
}

void add_text_tag(struct elf_file *file, Elf64_Sxword which, const char *text)
{
	add_tag(file, which, add_string(file, text));
}

void add_symbol(struct elf_file *file, const char *name, bool defined)
{
	Elf64_Sym *symbol = (Elf64_Sym *)(file->bytes + AT_SYMBOLS) + ++file->symbols;
	uint32_t *hash = hash_of(file);

	*symbol = (Elf64_Sym){.st_name = (Elf64_Word)add_string(file, name),
			      .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			      .st_shndx = defined ? 1 : SHN_UNDEF};
	hash[1] = file->symbols + 1;
}

struct elf_file *make_elf(const char *interpreter)
{
	struct elf_file *file = calloc(1, sizeof(*file));
	Elf64_Ehdr *ehdr = ehdr_of(file);
#ifdef __aarch64__
	int machine = EM_AARCH64;
#else
	int machine = EM_X86_64;
#endif

	memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
	ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	ehdr->e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr->e_ident[EI_VERSION] = EV_CURRENT;
	ehdr->e_type = ET_DYN;
	ehdr->e_machine = (Elf64_Half)machine;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_phoff = ehdr->e_ehsize = sizeof(*ehdr);
	ehdr->e_phentsize = sizeof(Elf64_Phdr);
	file->strings = 1;
	hash_of(file)[0] = 1;
	hash_of(file)[1] = 1;
	add_phdr(file, PT_LOAD, 0, ELF_SIZE);
	add_phdr(file, PT_DYNAMIC, AT_DYNAMIC, AT_SYMBOLS - AT_DYNAMIC);
	add_tag(file, DT_STRTAB, AT_STRINGS);
	add_tag(file, DT_STRSZ, AT_HASH - AT_STRINGS);
	add_tag(file, DT_SYMTAB, AT_SYMBOLS);
	add_tag(file, DT_HASH, AT_HASH);
	if (interpreter)
		add_phdr(file, PT_INTERP, AT_STRINGS + add_string(file, interpreter),
			 strlen(interpreter) + 1);
	return file;
}

struct elf_file *make_program(const char *needed)
{
	struct elf_file *file = make_elf(LOADER);

	if (needed)
		add_text_tag(file, DT_NEEDED, needed);
	return file;
}

struct elf_file *make_library(const char *soname)
{
	struct elf_file *file = make_elf(NULL);

	add_text_tag(file, DT_SONAME, soname);
	return file;
}

const char *save_elf(const char *directory, const char *name, struct elf_file *file)
{
	const char *path = scratch_save(directory, name, file->bytes, ELF_SIZE);

	free(file);
	return path;
}
