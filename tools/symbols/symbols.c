/* SPDX-License-Identifier: Apache-2.0 */
#include "symbols/symbols.h"

#include <dlfcn.h>
#include <elfutils/libdwelf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/maps.h"
#include "regular.h"

/* A readable name: C++ demangled, or without the symbol version. */
struct plain {
	struct plain *next;
	const char *name; /* libdwfl's own copy, compared by address */
	char *text;
};

/*
 * libdwfl searches all symbols of a file for each address: 0.6 ms in the official Node.js. Stacks
 * repeat: what was found stays in a place that depends on the address, until another needs it.
 */
struct found {
	uint64_t address;
	bool known, is_return, in_module;
	struct symbol symbol;
};
#define FOUND_BITS 10

struct symbols {
	Dwfl *dwfl;
	/* known even if their files are not: an address is then shown as "libx.so+0x123" */
	struct trace_modules modules;
	struct plain *plains;
	struct found found[1 << FOUND_BITS];
};

/* ---- files ------------------------------------------------------------------ */

/*
 * Build ids first. The standard search may ask a debuginfod server, so it is used only if none is
 * configured: tlstall stays offline.
 */
static int find_debuginfo(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
			  const char *file, const char *link, GElf_Word crc, char **found)
{
	const char *servers = getenv("DEBUGINFOD_URLS");
	int fd = dwfl_build_id_find_debuginfo(module, data, name, base, file, link, crc, found);

	if (fd >= 0 || (servers && servers[0]))
		return fd;
	return dwfl_standard_find_debuginfo(module, data, name, base, file, link, crc, found);
}

/* Not needed: every module is reported with its file. */
static int find_elf(Dwfl_Module *module, void **data, const char *name, Dwarf_Addr base,
		    char **file, Elf **elf)
{
	(void)module, (void)data, (void)name, (void)base, (void)file, (void)elf;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = find_elf,
	.find_debuginfo = find_debuginfo,
};

static bool has_build_id(Elf *elf, const struct tlstall_module *module)
{
	const void *id;
	ssize_t size = dwelf_elf_gnu_build_id(elf, &id);

	if (!module->build_id_size || module->build_id_size > sizeof(module->build_id))
		return size <= 0 && !module->build_id_size;
	return size == (ssize_t)module->build_id_size &&
	       !memcmp(id, module->build_id, (size_t)size);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Takes over the descriptor. */
static void report_file(struct symbols *symbols, int fd, const char *path, uint64_t bias)
{
	if (fd >= 0 && !dwfl_report_elf(symbols->dwfl, path, path, fd, bias, true))
		close(fd);
}

/* ---- modules of a trace ------------------------------------------------------ */

static bool is_same_file(int fd, const struct tlstall_module *module)
{
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	bool same = elf && has_build_id(elf, module);

	elf_end(elf);
	return same;
}

/*
 * In libdwfl, each address belongs to one file. A module that has addresses of an earlier one
 * is put elsewhere.
 */
static uint64_t shift_of(const struct trace_modules *modules, const struct tlstall_module *module)
{
	for (const struct tlstall_module *m = modules->list; m < module; m++) {
		if (m->start < module->end && module->start < m->end)
			return (uint64_t)(module - modules->list + 1) << 48;
	}
	return 0;
}

static void add_trace_module(struct symbols *symbols, const struct tlstall_module *module)
{
	int fd = module->path[0] == '/' ? regular_open(module->path) : -1;

	if (fd >= 0 && !is_same_file(fd, module)) {
		close(fd);
		return;
	}
	report_file(symbols, fd, module->path, module->bias + shift_of(&symbols->modules, module));
}

/* ---- modules of a process ---------------------------------------------------- */

/* Finds where the file's address 0 is in memory. */
static bool find_bias(int fd, const struct mapped *mapped, uint64_t *bias)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	Elf *elf = elf_begin(fd, ELF_C_READ_MMAP, NULL);
	bool found = false;
	size_t count = 0;
	GElf_Phdr phdr;

	if (elf && !elf_getphdrnum(elf, &count)) {
		for (int i = 0; i < (int)count && !found; i++) {
			if (!gelf_getphdr(elf, i, &phdr) || phdr.p_type != PT_LOAD)
				continue;
			found = phdr.p_offset / page * page == mapped->offset;
			*bias = mapped->start - phdr.p_vaddr / page * page;
		}
	}
	elf_end(elf);
	return found;
}

static bool add_module(struct symbols *symbols, const struct mapped *mapped, uint64_t bias)
{
	struct trace_modules *modules = &symbols->modules;
	struct tlstall_module *list =
		reallocarray(modules->list, modules->count + 1, sizeof(*modules->list));
	struct tlstall_module *module;

	if (!list)
		return false;
	modules->list = list;
	module = &list[modules->count++];
	*module = (struct tlstall_module){.start = mapped->start, .end = mapped->end, .bias = bias};
	snprintf(module->path, sizeof(module->path), "%s", base_name(mapped->path));
	return true;
}

static void add_mapped(struct symbols *symbols, pid_t pid, const struct mapped *mapped)
{
	uint64_t bias = mapped->start;
	int fd = -1;

	if (!mapped->executable)
		return;
	if (mapped->path[0] == '/')
		fd = maps_open(pid, mapped);
	if (fd >= 0 && !find_bias(fd, mapped, &bias)) {
		close(fd);
		fd = -1;
	}
	if (add_module(symbols, mapped, bias))
		report_file(symbols, fd, mapped->path, bias);
	else if (fd >= 0)
		close(fd);
}

/* ---- construction --------------------------------------------------------------- */

static struct symbols *begin(void)
{
	struct symbols *symbols = calloc(1, sizeof(*symbols));

	elf_version(EV_CURRENT);
	if (symbols)
		symbols->dwfl = dwfl_begin(&callbacks);
	if (symbols && !symbols->dwfl) {
		free(symbols);
		return NULL;
	}
	if (symbols)
		dwfl_report_begin(symbols->dwfl);
	return symbols;
}

static struct symbols *end(struct symbols *symbols)
{
	dwfl_report_end(symbols->dwfl, NULL, NULL);
	return symbols;
}

struct symbols *symbols_of_trace(struct trace *trace)
{
	struct symbols *symbols = begin();

	if (!symbols)
		return NULL;
	trace_modules(trace, &symbols->modules);
	for (uint32_t i = 0; i < symbols->modules.count; i++)
		add_trace_module(symbols, &symbols->modules.list[i]);
	return end(symbols);
}

struct symbols *symbols_of_process(pid_t pid)
{
	struct symbols *symbols = begin();
	struct maps maps;

	if (!symbols)
		return NULL;
	maps_read(pid, &maps);
	for (unsigned i = 0; i < maps.count; i++)
		add_mapped(symbols, pid, &maps.list[i]);
	maps_free(&maps);
	return end(symbols);
}

void symbols_free(struct symbols *symbols)
{
	struct plain *next;

	if (!symbols)
		return;
	for (struct plain *plain = symbols->plains; plain; plain = next) {
		next = plain->next;
		free(plain->text);
		free(plain);
	}
	trace_modules_free(&symbols->modules);
	dwfl_end(symbols->dwfl);
	free(symbols);
}

/* ---- names ---------------------------------------------------------------------- */

typedef char *demangler(const char *name, char *buffer, size_t *size, int *status);

/* The demangler of libstdc++, if installed, as it is where C++ programs run. */
static demangler *find_demangler(void)
{
	static demangler *function;
	static bool tried;

	if (!tried) {
		void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);

		function = library ? (demangler *)dlsym(library, "__cxa_demangle") : NULL;
		tried = true;
	}
	return function;
}

/* NULL: the name needs no change. */
static char *make_plain(const char *name)
{
	demangler *demangle = strncmp(name, "_Z", 2) ? NULL : find_demangler();
	int status;

	if (demangle)
		return demangle(name, NULL, NULL, &status);
	/* "memcpy@@GLIBC_2.14" */
	return strchr(name, '@') ? strndup(name, strcspn(name, "@")) : NULL;
}

static const char *in_plain_words(struct symbols *symbols, const char *name)
{
	struct plain *plain = symbols->plains;

	if (strncmp(name, "_Z", 2) && !strchr(name, '@'))
		return name;
	while (plain && plain->name != name)
		plain = plain->next;
	if (!plain && (plain = calloc(1, sizeof(*plain)))) {
		*plain = (struct plain){symbols->plains, name, make_plain(name)};
		symbols->plains = plain;
	}
	return plain && plain->text ? plain->text : name;
}

/* The nearest symbol is the function only if its size reaches the address. */
static void find_function(struct symbols *symbols, Dwfl_Module *module, uint64_t at,
			  uint64_t address, struct symbol *out)
{
	GElf_Off offset;
	GElf_Sym symbol;
	const char *name = dwfl_module_addrinfo(module, at, &offset, &symbol, NULL, NULL, NULL);

	if (!name || offset >= symbol.st_size)
		return;
	out->function = in_plain_words(symbols, name);
	out->offset = offset + (address - at);
}

/* libdwfl finds a unit by .debug_aranges, which clang does not write. */
static const char *find_in_units(Dwfl_Module *module, uint64_t at, int *number)
{
	Dwarf_Addr bias;
	Dwarf_Die *unit = NULL;
	Dwarf_Line *line = NULL;

	while (!line && (unit = dwfl_module_nextcu(module, unit, &bias))) {
		if (dwarf_haspc(unit, at - bias) > 0)
			line = dwarf_getsrc_die(unit, at - bias);
	}
	return line && !dwarf_lineno(line, number) ? dwarf_linesrc(line, NULL, NULL) : NULL;
}

static void find_line(Dwfl_Module *module, uint64_t at, struct symbol *out)
{
	Dwfl_Line *line = dwfl_module_getsrc(module, at);
	const char *path = line ? dwfl_lineinfo(line, NULL, &out->line, NULL, NULL, NULL)
				: find_in_units(module, at, &out->line);
	const char *slash = path ? strrchr(path, '/') : NULL;

	if (path && out->line > 0)
		out->file = slash ? slash + 1 : path;
}

static bool find(struct symbols *symbols, const struct tlstall_stack *stack, uint64_t address,
		 uint64_t at, struct symbol *out)
{
	const struct tlstall_module *module = trace_module_at(&symbols->modules, stack, at);
	Dwfl_Module *file;
	uint64_t shift;

	*out = (struct symbol){.offset = address};
	if (!module)
		return false;
	out->module = base_name(module->path);
	out->offset = address - module->bias;
	shift = shift_of(&symbols->modules, module);
	file = dwfl_addrmodule(symbols->dwfl, at + shift);
	if (!file)
		return true;
	find_function(symbols, file, at + shift, address + shift, out);
	if (out->function)
		find_line(file, at + shift, out);
	return true;
}

static bool search(struct symbols *symbols, uint64_t address, bool is_return, struct symbol *out)
{
	return find(symbols, NULL, address, address - (is_return && address), out);
}

bool symbols_find_frame(struct symbols *symbols, const struct tlstall_stack *stack, unsigned frame,
			struct symbol *out)
{
	uint64_t address = stack->frames[frame];

	return find(symbols, stack, address, address - (address != 0), out);
}

bool symbols_find(struct symbols *symbols, uint64_t address, bool is_return, struct symbol *out)
{
	uint64_t place = address * 0x9e3779b97f4a7c15u >> (64 - FOUND_BITS);
	struct found *found = &symbols->found[place];

	if (!found->known || found->address != address || found->is_return != is_return) {
		*found = (struct found){.address = address, .known = true, .is_return = is_return};
		found->in_module = search(symbols, address, is_return, &found->symbol);
	}
	*out = found->symbol;
	return found->in_module;
}

void symbols_format(const struct symbol *symbol, uint64_t address, char *buffer, size_t size)
{
	if (symbol->function && symbol->file)
		snprintf(buffer, size, "%s at %s:%d (%s)", symbol->function, symbol->file,
			 symbol->line, symbol->module);
	else if (symbol->function)
		snprintf(buffer, size, "%s+0x%" PRIx64 " (%s)", symbol->function, symbol->offset,
			 symbol->module);
	else if (symbol->module)
		snprintf(buffer, size, "%s+0x%" PRIx64, symbol->module, symbol->offset);
	else
		snprintf(buffer, size, "0x%" PRIx64, address);
}
