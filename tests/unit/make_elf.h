/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ELF files of one page, made byte by byte, for tests of their readers.
 *
 *	struct elf_file *file = make_program("libssl.so.3");
 *	add_symbol(file, "SSL_connect", false);
 *	const char *path = save_elf(directory, "program", file);
 */
#ifndef TESTS_UNIT_MAKE_ELF_H
#define TESTS_UNIT_MAKE_ELF_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOADER "/lib64/ld-linux-x86-64.so.2"

/* Where the parts are. Nothing follows the hash table. */
enum {
	AT_DYNAMIC = 0x200,
	AT_SYMBOLS = 0x500,
	AT_STRINGS = 0x700,
	AT_HASH = 0xd00,
	ELF_SIZE = 0x1000
};

struct elf_file {
	uint8_t bytes[ELF_SIZE];
	unsigned phdrs, tags, symbols;
	size_t strings;
};

/* Like a program of this machine; NULL interpreter: like a library. To be freed. */
struct elf_file *make_elf(const char *interpreter);
struct elf_file *make_program(const char *needed); /* NULL: needs nothing */
struct elf_file *make_library(const char *soname);

void add_text_tag(struct elf_file *file, Elf64_Sxword which, const char *text);
void add_symbol(struct elf_file *file, const char *name, bool defined);

/* Writes the file in the directory and frees it; returns its path, as scratch_save() does. */
const char *save_elf(const char *directory, const char *name, struct elf_file *file);

/* Parts of the file, for tests that falsify them. */
static inline Elf64_Ehdr *ehdr_of(struct elf_file *file)
{
	return (Elf64_Ehdr *)file->bytes;
}

static inline Elf64_Phdr *phdr_of(struct elf_file *file, unsigned i)
{
	return (Elf64_Phdr *)(file->bytes + sizeof(Elf64_Ehdr)) + i;
}

static inline Elf64_Dyn *tag_of(struct elf_file *file, unsigned i)
{
	return (Elf64_Dyn *)(file->bytes + AT_DYNAMIC) + i;
}

static inline uint32_t *hash_of(struct elf_file *file)
{
	return (uint32_t *)(file->bytes + AT_HASH);
}

#endif
