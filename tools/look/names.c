/* SPDX-License-Identifier: Apache-2.0 */
#include "look/names.h"

#include <errno.h>
#include <gelf.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "regular.h"

#define SYMBOLS_MAX (4u << 20)
#define NAMES_MAX 65536u

/* ---- the file --------------------------------------------------------------------- */

/* Opens the mapped file through the kernel's own link, which takes privileges; else by its path. */
static int open_file(pid_t pid, const struct region *region)
{
	char path[80], target[PATH_MAX];
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, region->start,
		 region->end);
	fd = regular_open(path);
	if (fd >= 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	length = readlink(path, target, sizeof(target) - 1);
	target[length > 0 ? length : 0] = '\0';
	return strcmp(target, region->path) ? -1 : regular_open(path);
}

/* ---- its table ---------------------------------------------------------------------- */

static bool is_of_openssl(const char *text)
{
	static const char *const starts[] = {"SSL_", "BIO_", "OpenSSL_", "DTLSv1_"};

	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return true;
	return false;
}

static void add(struct names *names, const char *text, const GElf_Sym *symbol)
{
	struct name *list = names->list;
	unsigned count = names->count;

	/* grows at each power of two */
	if (!(count & (count - 1)))
		list = reallocarray(list, count ? 2 * count : 1, sizeof(*list));
	if (list) {
		names->list = list;
		list[count] = (struct name){strdup(text), symbol->st_value, symbol->st_size};
	}
	if (list && list[count].text)
		names->count++;
	else
		names->starved = true;
}

static void read_table(Elf *elf, Elf_Scn *section, const GElf_Shdr *header, struct names *out)
{
	Elf_Data *data = elf_getdata(section, NULL);
	uint64_t count = header->sh_entsize ? header->sh_size / header->sh_entsize : 0;
	GElf_Sym symbol;

	for (uint64_t i = 1; data && i < count && i < SYMBOLS_MAX; i++) {
		const char *text;

		if (out->count == NAMES_MAX || !gelf_getsym(data, (int)i, &symbol) ||
		    symbol.st_shndx == SHN_UNDEF || GELF_ST_TYPE(symbol.st_info) != STT_FUNC)
			continue;
		text = elf_strptr(elf, header->sh_link, symbol.st_name);
		if (text && is_of_openssl(text))
			add(out, text, &symbol);
	}
}

static int compare(const void *a, const void *b)
{
	const struct name *one = a, *other = b;

	return strcmp(one->text, other->text);
}

void names_read(pid_t pid, const struct region *region, struct names *out)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	int fd = open_file(pid, region);
	Elf *elf;

	*out = (struct names){0};
	if (fd < 0)
		return;
	elf_version(EV_CURRENT);
	errno = 0;
	elf = elf_begin(fd, ELF_C_READ, NULL);
	while (elf && (section = elf_nextscn(elf, section)))
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_SYMTAB)
			read_table(elf, section, &header, out);
	out->starved |= errno == ENOMEM; /* libelf's */
	elf_end(elf);
	close(fd);
	if (out->count)
		qsort(out->list, out->count, sizeof(*out->list), compare);
}

void names_free(struct names *names)
{
	for (unsigned i = 0; i < names->count; i++)
		free(names->list[i].text);
	free(names->list);
	*names = (struct names){0};
}

const struct name *names_find(const struct names *names, const char *text)
{
	struct name key = {.text = (char *)text};

	return names->count ? bsearch(&key, names->list, names->count, sizeof(key), compare) : NULL;
}
