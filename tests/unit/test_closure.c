/* SPDX-License-Identifier: Apache-2.0 */
/* All libraries that a program needs, and where the loader finds them. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/closure.h"
#include "unit/make_elf.h"
#include "unit/scratch.h"

static void load(struct closure *closure, const char *path, const char *library_path)
{
	int fd = open(path, O_RDONLY);

	*closure = (struct closure){.root = ROOT_OURS, .library_path = library_path};
	assert_int_equal(closure_add(closure, fd, path), 0);
	close(fd);
}

/* Where `name` was found, relative to the directory; NULL: not found. */
static const char *where(const struct closure *closure, const char *directory, const char *name)
{
	for (size_t i = 0; i < closure->count; i++)
		if (!strcmp(closure->list[i].name, name) && closure->list[i].path)
			return closure->list[i].path + strlen(directory) + 1;
	return NULL;
}

static void make_directories(const char *directory)
{
	mkdir(scratch_path(directory, "one"), 0755);
	mkdir(scratch_path(directory, "two"), 0755);
	save_elf(directory, "one/libtlstalltest.so", make_library("libtlstalltest.so"));
	save_elf(directory, "two/libtlstalltest.so", make_library("libtlstalltest.so"));
}

static void test_search_order(void **state)
{
	struct elf_file *file;
	struct closure closure;

	make_directories(*state);
	load(&closure, save_elf(*state, "plain", make_program("libtlstalltest.so")), NULL);
	assert_null(where(&closure, *state, "libtlstalltest.so"));
	assert_int_equal(closure.count, 2);
	closure_free(&closure);

	file = make_program("libtlstalltest.so");
	add_text_tag(file, DT_RUNPATH, "/nonexistent:${ORIGIN}/one");
	load(&closure, save_elf(*state, "runpath", file), NULL);
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "one/libtlstalltest.so");
	closure_free(&closure);
	load(&closure, scratch_path(*state, "runpath"), scratch_path(*state, "two"));
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "two/libtlstalltest.so");
	closure_free(&closure);

	file = make_program("libtlstalltest.so");
	add_text_tag(file, DT_RPATH, "$ORIGIN/one");
	load(&closure, save_elf(*state, "rpath", file), scratch_path(*state, "two"));
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "one/libtlstalltest.so");
	closure_free(&closure);
}

/* A library for another machine is skipped, as the loader does. */
static void test_other_machines_library(void **state)
{
	struct elf_file *file = make_library("libtlstalltest.so");
	struct closure closure;
	char list[256];

	make_directories(*state);
	ehdr_of(file)->e_machine = EM_MIPS;
	save_elf(*state, "one/libtlstalltest.so", file);
	snprintf(list, sizeof(list), "%s:%s", scratch_path(*state, "one"),
		 scratch_path(*state, "two"));
	load(&closure, save_elf(*state, "program", make_program("libtlstalltest.so")), list);
	assert_string_equal(where(&closure, *state, "libtlstalltest.so"), "two/libtlstalltest.so");
	closure_free(&closure);
}

/* Libraries that need each other, and themselves. */
static void test_circle(void **state)
{
	struct elf_file *file = make_library("libone.so");
	struct closure closure;

	add_text_tag(file, DT_NEEDED, "libone.so");
	add_text_tag(file, DT_NEEDED, "libtwo.so");
	save_elf(*state, "libone.so", file);
	file = make_library("libtwo.so");
	add_text_tag(file, DT_NEEDED, "libone.so");
	save_elf(*state, "libtwo.so", file);
	load(&closure, save_elf(*state, "program", make_program("libone.so")),
	     scratch_path(*state, ""));
	assert_int_equal(closure.count, 3);
	closure_free(&closure);
}

static bool has_path(const struct closure *closure, const char *path)
{
	struct stat one, other;

	for (size_t i = 1; i < closure->count; i++)
		if (closure->list[i].path && stat(closure->list[i].path, &one) == 0 &&
		    stat(path, &other) == 0 && one.st_ino == other.st_ino)
			return true;
	return false;
}

/* Compares with the loader's own list; returns how many libraries it names. */
static size_t compare_with_loader(const char *program)
{
	struct closure closure;
	char line[512], path[512];
	size_t named = 0;
	FILE *loader;

	load(&closure, program, getenv("LD_LIBRARY_PATH"));
	snprintf(line, sizeof(line), "unset LD_PRELOAD; LD_TRACE_LOADED_OBJECTS=1 exec %s", program);
	loader = popen(line, "r");
	while (loader && fgets(line, sizeof(line), loader)) {
		if (sscanf(line, "%*s => %511s", path) != 1)
			continue;
		named++;
		if (!has_path(&closure, path))
			fail_msg("%s: the loader loads %s", program, path);
	}
	assert_int_equal(pclose(loader), 0);
	for (size_t i = 1; i < closure.count; i++) {
		assert_non_null(closure.list[i].path);
		named -= !!strncmp(library_name(&closure.list[i]), "ld-linux", 8);
	}
	closure_free(&closure);
	return named;
}

static void test_as_the_loader_does(void **state)
{
	static const char *const programs[] = {"/usr/bin/curl", "/usr/sbin/nginx",
					       "/usr/bin/gdb",	"/usr/bin/ruby",
					       "/usr/bin/php",	"/usr/bin/openssl"};
	unsigned compared = 0;
	(void)state;

	for (size_t i = 0; i < sizeof(programs) / sizeof(*programs); i++) {
		if (access(programs[i], X_OK) != 0)
			continue;
		/* Neither more nor fewer. */
		assert_int_equal(compare_with_loader(programs[i]), 0);
		compared++;
	}
	assert_true(compared > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		scratch_unit_test(test_search_order),
		scratch_unit_test(test_other_machines_library),
		scratch_unit_test(test_circle),
		cmocka_unit_test(test_as_the_loader_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
