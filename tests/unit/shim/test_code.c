/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about objects when they are unloaded, and others lie in their place; the loader is made up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "code.h"

/* ---- the loader ---------------------------------------------------------------------- */

#define PAGE 4096u
#define PAGES 16
/* Where objects lie; the first page of each begins with its headers. */
static _Alignas(PAGE) unsigned char memory[PAGES * PAGE];
#define BASE ((uintptr_t)memory)

/* An object without program headers has no tables. */
static struct plugin {
	struct elf_object object;
	uintptr_t header;
} plugins[2];
static unsigned plugin_count;
static uint64_t loads = 1, unloads;
static unsigned walks;
static bool searches; /* _dl_find_object */

static ElfW(Phdr) *write_headers(unsigned char *at)
{
	ElfW(Ehdr) header = {.e_phoff = sizeof(header), .e_phentsize = sizeof(ElfW(Phdr)), .e_phnum = 2};

	memcpy(header.e_ident, ELFMAG, SELFMAG);
	memcpy(at, &header, sizeof(header));
	return (ElfW(Phdr) *)(void *)(at + sizeof(header));
}

/* Of `size` pages; its .eh_frame_hdr is at `header`, in a segment that ends at `end`, in bytes. */
static void load(unsigned page, unsigned size, uintptr_t header, uintptr_t end)
{
	struct plugin *plugin = &plugins[plugin_count++];
	ElfW(Phdr) *phdr = write_headers(memory + page * PAGE);

	phdr[0] = (ElfW(Phdr)){.p_type = PT_LOAD, .p_flags = PF_R, .p_filesz = end, .p_memsz = end};
	phdr[1] = (ElfW(Phdr)){.p_type = PT_GNU_EH_FRAME, .p_vaddr = header};
	*plugin = (struct plugin){.object = {.path = "plugin.so",
					     .bias = BASE + page * PAGE,
					     .start = BASE + page * PAGE,
					     .end = BASE + (page + size) * PAGE,
					     .phdr = phdr,
					     .phdr_count = 2},
				  .header = BASE + page * PAGE + header};
	loads++;
}

static void unload(void)
{
	plugin_count--;
	unloads++;
}

bool elf_each(bool (*visit)(const struct elf_object *object, void *context), void *context)
{
	walks++;
	for (unsigned i = 0; i < plugin_count; i++) {
		if (visit(&plugins[i].object, context))
			return true;
	}
	return false;
}

uint64_t elf_loads(void)
{
	return loads;
}

uint64_t elf_unloads(void)
{
	return unloads;
}

/* struct dl_find_object of glibc */
struct found {
	unsigned long long flags;
	void *start, *end;
	struct link_map *map;
	void *header;
};

static int search(void *address, struct found *found)
{
	static struct link_map map;

	for (unsigned i = 0; i < plugin_count; i++) {
		const struct elf_object *object = &plugins[i].object;

		if ((uintptr_t)address - object->start >= object->end - object->start)
			continue;
		map.l_addr = object->bias;
		*found = (struct found){.start = (void *)object->start,
					.end = (void *)object->end,
					.map = &map,
					.header = (void *)plugins[i].header};
		return 0;
	}
	return -1;
}

void *elf_find(const char *name)
{
	assert_string_equal(name, "_dl_find_object");
	return searches ? (void *)search : NULL;
}

/* ---- what is asked --------------------------------------------------------------------- */

static void refreshed(void)
{
	code_refresh(true);
}

/* The byte `at` is in an object with these tables, seen from the object's `page`. */
static void assert_known(uintptr_t at, unsigned page, uintptr_t header, uintptr_t end)
{
	struct cfi_table table;

	assert_true(code_find(BASE + at, &table));
	assert_int_equal(table.header, BASE + page * PAGE + header);
	assert_int_equal(table.low, BASE + page * PAGE);
	assert_int_equal(table.high, BASE + page * PAGE + end);
}

static void assert_unknown(uintptr_t at)
{
	struct cfi_table table;

	assert_false(code_find(BASE + at, &table));
}

static void unloaded(void **state)
{
	(void)state;
	load(2, 4, 0x300, 0x1000);
	refreshed();
	assert_known(3 * PAGE, 2, 0x300, 0x1000);
	assert_unknown(2 * PAGE - 1);
	assert_unknown(6 * PAGE);
	/* nothing is loaded since */
	unload();
	refreshed();
	assert_unknown(3 * PAGE);
}

/* Larger, smaller, and of the same size with other tables. */
static void another_in_its_place(void **state)
{
	(void)state;
	load(2, 4, 0x300, 0x1000);
	refreshed();
	unload();
	load(3, 2, 0x280, 0x900);
	refreshed();
	assert_known(3 * PAGE, 3, 0x280, 0x900);
	assert_unknown(2 * PAGE);
	assert_unknown(5 * PAGE);
	unload();
	load(2, 4, 0x400, 0x1000);
	refreshed();
	assert_known(4 * PAGE, 2, 0x400, 0x1000);
	unload();
	load(2, 4, 0x400, 0xe00);
	refreshed();
	assert_known(4 * PAGE, 2, 0x400, 0xe00);
	unload();
}

/* Of two that were unloaded, the second comes again. */
static void one_of_two_comes_again(void **state)
{
	(void)state;
	load(1, 2, 0x300, 0x1000);
	load(5, 2, 0x380, 0x1000);
	refreshed();
	assert_known(PAGE, 1, 0x300, 0x1000);
	assert_known(5 * PAGE, 5, 0x380, 0x1000);
	unload();
	unload();
	refreshed();
	assert_unknown(PAGE);
	assert_unknown(5 * PAGE);
	load(5, 2, 0x380, 0x1000);
	refreshed();
	assert_unknown(PAGE);
	assert_known(5 * PAGE, 5, 0x380, 0x1000);
	unload();
	refreshed();
}

/* There are many more than are remembered. */
static void places_are_used_again(void **state)
{
	(void)state;
	for (uintptr_t i = 0; i < 2000; i++) {
		load(2, 4, 0x300 + i, 0x1000);
		refreshed();
		assert_known(3 * PAGE, 2, 0x300 + i, 0x1000);
		unload();
	}
	refreshed();
	assert_unknown(3 * PAGE);
}

static void asked_only_after_a_change(void **state)
{
	unsigned before;

	(void)state;
	load(2, 4, 0x300, 0x1000);
	before = walks;
	code_refresh(false);
	assert_int_equal(walks, before);
	assert_unknown(3 * PAGE);
	refreshed();
	refreshed();
	assert_int_equal(walks, before + 1);
	assert_known(3 * PAGE, 2, 0x300, 0x1000);
	unload();
	refreshed();
	assert_int_equal(walks, before + 2);
}

/* The loader knows more than the last refresh, which may be impossible: it has the last word. */
static void the_loader_is_right(void **state)
{
	struct elf_object object;

	(void)state;
	load(2, 4, 0x300, 0x1000);
	refreshed();
	searches = true;
	code_prepare();
	assert_known(3 * PAGE, 2, 0x300, 0x1000);
	unload();
	assert_unknown(3 * PAGE);
	assert_false(code_object(BASE + 3 * PAGE, &object));
	load(3, 2, 0x280, 0x900);
	assert_known(3 * PAGE, 3, 0x280, 0x900);
	assert_unknown(2 * PAGE);
	assert_true(code_object(BASE + 3 * PAGE, &object));
	assert_int_equal(object.start, BASE + 3 * PAGE);
	unload();
	load(2, 4, 0x400, 0xe00);
	assert_known(3 * PAGE, 2, 0x400, 0xe00);
	/* its headers say something else */
	plugins[0].header += 8;
	assert_unknown(3 * PAGE);
	unload();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unloaded),
		cmocka_unit_test(another_in_its_place),
		cmocka_unit_test(one_of_two_comes_again),
		cmocka_unit_test(places_are_used_again),
		cmocka_unit_test(asked_only_after_a_change),
		cmocka_unit_test(the_loader_is_right), /* the last one: it stays prepared */
	};

	return cmocka_run_group_tests_name("code", tests, NULL, NULL);
}
