/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses to names: in this process, and in traces whose module is this program's file. */
#include <dlfcn.h>
#include <elf.h>
#include <limits.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "symbols/symbols.h"
#include "unit/build_trace.h"
#include "unit/scratch.h"

/* On one line, so that both have the same number. */
/* clang-format off */
enum { HERE = __LINE__ }; static __attribute__((noinline)) int find_me_here(int n) { return n + HERE; }
/* clang-format on */

static const char *name_of_here(const char *module)
{
	static char name[80];

	snprintf(name, sizeof(name), "find_me_here at test_symbols.c:%d (%s)", HERE, module);
	return name;
}

/* A function followed by a gap, and one with a C++ name. */
void sized_function(void);
void mangled(int n) __asm__("_ZN3foo3barEi");
__asm__(".pushsection .text\n"
	".globl sized_function\n"
	".type sized_function, @function\n"
	"sized_function:\n"
	".skip 16, 0x90\n"
	".size sized_function, 16\n"
	".skip 64, 0xcc\n"
	".popsection\n");
__attribute__((noinline)) void mangled(int n)
{
	__asm__ volatile("" : : "r"(n));
}

static uint64_t address_of(const void *function)
{
	return (uint64_t)(uintptr_t)function;
}

static const char *format(struct symbols *symbols, uint64_t address, bool is_return)
{
	static char text[300];
	struct symbol symbol;

	symbols_find(symbols, address, is_return, &symbol);
	symbols_format(&symbol, address, text, sizeof(text));
	return text;
}

static void names_of_a_process(void **state)
{
	struct symbols *symbols = symbols_of_process(getpid());
	struct symbol symbol;

	(void)state;
	assert_non_null(symbols);
	assert_true(symbols_find(symbols, address_of(find_me_here), false, &symbol));
	assert_string_equal(symbol.function, "find_me_here");
	assert_string_equal(symbol.file, "test_symbols.c");
	assert_int_equal(symbol.line, HERE);
	assert_string_equal(symbol.module, "test_symbols");
	assert_string_equal(format(symbols, address_of(find_me_here), false),
			    name_of_here("test_symbols"));
	/* The byte before a function does not belong to it. */
	assert_null(strstr(format(symbols, address_of(sized_function), true), "sized_function"));
	assert_true(symbols_find(symbols, address_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")),
				 false, &symbol));
	assert_string_equal(symbol.module, "libc.so.6");
	assert_non_null(strstr(symbol.function, "gnu_get_libc_version"));
	assert_false(symbols_find(symbols, 16, false, &symbol));
	assert_string_equal(format(symbols, 16, false), "0x10");
	symbols_free(symbols);
}

static void beyond_the_size(void **state)
{
	struct symbols *symbols = symbols_of_process(getpid());
	uint64_t start = address_of(sized_function);
	struct symbol symbol;

	(void)state;
	assert_string_equal(format(symbols, start + 15, false),
			    "sized_function+0xf (test_symbols)");
	/* The call was the last instruction, so the return address is after the function. */
	assert_string_equal(format(symbols, start + 16, true),
			    "sized_function+0x10 (test_symbols)");
	assert_true(symbols_find(symbols, start + 16, false, &symbol));
	assert_null(symbol.function);
	assert_string_equal(symbol.module, "test_symbols");
	symbols_free(symbols);
}

/* More addresses than are kept; the second time, each answer is that of somebody who never kept any. */
static void the_same_again(void **state)
{
	struct symbols *often = symbols_of_process(getpid());
	struct symbols *once = symbols_of_process(getpid());
	uint64_t start = address_of(sized_function) - 2048;
	char text[300];

	(void)state;
	for (uint64_t i = 0; i < 4096; i++)
		format(often, start + i, false);
	for (uint64_t i = 4096; i-- > 0;) {
		strcpy(text, format(often, start + i, false));
		assert_string_equal(text, format(once, start + i, false));
		assert_string_equal(text, format(often, start + i, false));
	}
	symbols_free(often);
	symbols_free(once);
}

static uint64_t cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Stacks repeat, and libdwfl searches all symbols each time. */
static void cheaper_again(void **state)
{
	struct symbols *symbols = symbols_of_process(getpid());
	uint64_t start = address_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")), times[2];
	struct symbol symbol;

	(void)state;
	symbols_find(symbols, start, false, &symbol); /* reads the file */
	for (uint64_t same = 0; same < 2; same++) {
		times[same] = cpu_ns();
		for (uint64_t i = 0; i < 500; i++)
			symbols_find(symbols, same ? start : start + 1 + i, false, &symbol);
		times[same] = cpu_ns() - times[same];
	}
	assert_true(times[1] < times[0] / 10);
	symbols_free(symbols);
}

static void names_of_cxx(void **state)
{
	struct symbols *symbols = symbols_of_process(getpid());
	void *library = dlopen("libstdc++.so.6", RTLD_LAZY);
	struct symbol symbol;

	(void)state;
	for (int i = 0; i < 2; i++) { /* the second time from memory */
		assert_true(symbols_find(symbols, address_of(mangled), false, &symbol));
		assert_string_equal(symbol.function, library ? "foo::bar(int)" : "_ZN3foo3barEi");
	}
	symbols_free(symbols);
	if (library)
		dlclose(library);
}

/* ---- traces -------------------------------------------------------------------- */

struct own {
	struct tlstall_module module;
	uint64_t function; /* where find_me_here() was in the traced process */
};

static void take_build_id(const struct dl_phdr_info *info, const ElfW(Phdr) * phdr,
			  struct tlstall_module *module)
{
	const char *at = (const char *)(uintptr_t)(info->dlpi_addr + phdr->p_vaddr);
	const char *end = at + phdr->p_memsz;

	while (at < end) {
		const ElfW(Nhdr) *note = (const void *)at;
		const char *id = at + sizeof(*note) + ((note->n_namesz + 3) & ~3u);

		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4) {
			module->build_id_size = note->n_descsz;
			memcpy(module->build_id, id, note->n_descsz);
		}
		at = id + ((note->n_descsz + 3) & ~3u);
	}
}

/* The program is the first object. */
static int take_program(struct dl_phdr_info *info, size_t size, void *context)
{
	struct tlstall_module *module = context;

	(void)size;
	module->bias = info->dlpi_addr;
	module->start = UINT64_MAX;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *phdr = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + phdr->p_vaddr;

		if (phdr->p_type == PT_NOTE)
			take_build_id(info, phdr, module);
		if (phdr->p_type != PT_LOAD)
			continue;
		if (start < module->start)
			module->start = start;
		module->end = start + phdr->p_memsz;
	}
	return 1;
}

/* As in another process, at another address. */
static struct own own_module(void)
{
	const uint64_t elsewhere = 0x100000000;
	struct own own = {{0}, 0};

	dl_iterate_phdr(take_program, &own.module);
	own.module.commit = 1;
	own.module.start += elsewhere;
	own.module.end += elsewhere;
	own.module.bias += elsewhere;
	own.function = address_of(find_me_here) + elsewhere;
	assert_true(readlink("/proc/self/exe", own.module.path, sizeof(own.module.path) - 1) > 0);
	return own;
}

/* How a trace with that module names the address; `expect_file`: with file and line. */
static void check_trace(const struct own *own, const char *expected)
{
	struct symbols *symbols;
	struct trace *trace;
	struct build b;

	build_trace(&b, NULL);
	b.modules[build_module(&b, own->module.path, own->module.start, own->module.end)] =
		own->module;
	trace = build_open(&b);
	symbols = symbols_of_trace(trace);
	assert_non_null(symbols);
	assert_string_equal(format(symbols, own->function, false), expected);
	symbols_free(symbols);
	trace_close(trace);
	build_free(&b);
}

static void names_of_a_trace(void **state)
{
	struct own own = own_module();

	(void)state;
	assert_true(own.module.build_id_size > 0);
	check_trace(&own, name_of_here("test_symbols"));
}

/* How a stack whose module is the second one names an address that both have. */
static void check_second(const struct tlstall_module *first, const struct tlstall_module *second,
			 uint64_t function, const char *expected)
{
	struct tlstall_stack stack = {.count = 1, .hash = 2ull << 48, .frames = {function + 1}};
	struct symbols *symbols;
	struct symbol symbol;
	struct trace *trace;
	struct build b;
	char text[300];

	build_trace(&b, NULL);
	b.modules[build_module(&b, first->path, first->start, first->end)] = *first;
	b.modules[build_module(&b, second->path, second->start, second->end)] = *second;
	trace = build_open(&b);
	symbols = symbols_of_trace(trace);
	assert_non_null(symbols);
	assert_true(symbols_find_frame(symbols, &stack, 0, &symbol));
	symbols_format(&symbol, stack.frames[0] - 1, text, sizeof(text));
	assert_string_equal(text, expected);
	symbols_free(symbols);
	trace_close(trace);
	build_free(&b);
}

static void one_module_where_another_was(void **state)
{
	struct own own = own_module();
	struct tlstall_module other = own.module;
	char expected[100];

	(void)state;
	strcpy(other.path, "/nowhere/other.so");
	check_second(&other, &own.module, own.function, name_of_here("test_symbols"));
	/* the file of the first one has that address, too */
	snprintf(expected, sizeof(expected), "other.so+0x%llx",
		 (unsigned long long)(own.function + 1 - own.module.bias));
	check_second(&own.module, &other, own.function, expected);
	/* both have files */
	check_second(&own.module, &own.module, own.function, name_of_here("test_symbols"));
}

/* The file was replaced since, so its names would be wrong. */
static void another_build(void **state)
{
	struct own own = own_module();
	char expected[100];

	(void)state;
	snprintf(expected, sizeof(expected), "test_symbols+0x%llx",
		 (unsigned long long)(own.function - own.module.bias));
	own.module.build_id[0] ^= 1;
	check_trace(&own, expected);
	own.module.build_id_size = 0;
	check_trace(&own, expected);
	own.module.build_id_size = UINT32_MAX;
	check_trace(&own, expected);
}

static void no_such_file(void **state)
{
	static const char *const paths[] = {"/nonexistent/libx.so", "/dev/zero", "/", "libx.so"};
	struct own own = own_module();
	char expected[100];

	(void)state;
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		strcpy(own.module.path, paths[i]);
		snprintf(expected, sizeof(expected), "%s+0x%llx",
			 strrchr(paths[i], '/') ? strrchr(paths[i], '/') + 1 : paths[i],
			 (unsigned long long)(own.function - own.module.bias));
		check_trace(&own, expected);
	}
}

static void system_or_fail(const char *format_, const char *directory)
{
	char command[PATH_MAX];

	snprintf(command, sizeof(command), format_, directory);
	assert_int_equal(system(command), 0);
}

/* As in Debian's -dbgsym packages: the program is stripped, its debug file is separate. */
static void separate_debug_file(void **state)
{
	const char *directory = *state;
	struct own own = own_module();
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "cp %s %%s/program", own.module.path);
	system_or_fail(command, directory);
	system_or_fail(
		"cd %s && mkdir .debug && objcopy --only-keep-debug program .debug/program.debug",
		directory);
	system_or_fail("cd %s && strip program && objcopy --add-gnu-debuglink=.debug/program.debug "
		       "program",
		       directory);
	snprintf(own.module.path, sizeof(own.module.path), "%s/program", directory);
	check_trace(&own, name_of_here("program"));
	system_or_fail("rm -r %s/.debug", directory);
	snprintf(command, sizeof(command), "program+0x%llx",
		 (unsigned long long)(own.function - own.module.bias));
	check_trace(&own, command);
}

/* clang omits this table. */
static void no_address_ranges(void **state)
{
	const char *directory = *state;
	struct own own = own_module();
	char command[PATH_MAX];

	snprintf(command, sizeof(command), "objcopy --remove-section .debug_aranges %s %%s/program",
		 own.module.path);
	system_or_fail(command, directory);
	snprintf(own.module.path, sizeof(own.module.path), "%s/program", directory);
	check_trace(&own, name_of_here("program"));
}

/* ---- form ------------------------------------------------------------------------ */

static void forms(void **state)
{
	static const struct {
		struct symbol symbol;
		const char *text;
	} rows[] = {
		{{"f", "libx.so.1", NULL, 0, 0x41}, "f+0x41 (libx.so.1)"},
		{{"main", "program", "blocking.c", 17, 0x41}, "main at blocking.c:17 (program)"},
		{{NULL, "libx.so.1", NULL, 0, 0x1234}, "libx.so.1+0x1234"},
		{{NULL, NULL, NULL, 0, 0}, "0xabc"},
	};
	char text[64], small[4];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		symbols_format(&rows[i].symbol, 0xabc, text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
	symbols_format(&rows[0].symbol, 0xabc, small, sizeof(small));
	assert_string_equal(small, "f+0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_a_process),	cmocka_unit_test(beyond_the_size),
		cmocka_unit_test(the_same_again),	cmocka_unit_test(cheaper_again),
		cmocka_unit_test(names_of_cxx),		cmocka_unit_test(names_of_a_trace),
		cmocka_unit_test(one_module_where_another_was),
		cmocka_unit_test(another_build),	cmocka_unit_test(no_such_file),
		scratch_unit_test(separate_debug_file), scratch_unit_test(no_address_ranges),
		cmocka_unit_test(forms),
	};

	find_me_here(0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
