/* SPDX-License-Identifier: Apache-2.0 */
/* The names in .symtab, if libelf finds the sections to be within the file. */
#include <errno.h>
#include <gelf.h>

#include "check/object.h"

#define SYMBOLS_MAX (4u << 20)

static uint32_t read_table(Elf *elf, Elf_Scn *section, const GElf_Shdr *header)
{
	Elf_Data *data = elf_getdata(section, NULL);
	uint64_t count = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	uint32_t found = 0;
	GElf_Sym symbol;

	for (uint64_t i = 1; data && i < count && i < SYMBOLS_MAX; i++) {
		const char *name;

		if (!gelf_getsym(data, (int)i, &symbol) || symbol.st_shndx == SHN_UNDEF ||
		    GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
			continue;
		name = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (name && (*name == 'S' || *name == 'C'))
			found |= object_symbol_bit(name);
	}
	return found;
}

int object_names(int fd, uint32_t *found)
{
	Elf *elf;
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	bool starved;

	*found = 0;
	elf_version(EV_CURRENT);
	errno = 0;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	while (elf && (section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
			*found |= read_table(elf, section, &header);
	starved = errno == ENOMEM;
	elf_end(elf);
	return starved ? -ENOMEM : 0;
}
