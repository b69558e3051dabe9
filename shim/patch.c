/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No page is ever writable and executable at once. The kernel may refuse to make a page
 * executable again once it was written to (SELinux's execmod); then an executable copy
 * takes its place. Whether memory can be made executable at all is tried with the
 * islands, before any code is touched.
 */
#include "patch.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "entry.h"
#include "system.h"

#define REACH 0x7f000000u /* bytes that a jump can span, with a margin */
#define STEP 0x10000u
#define ISLANDS ((PATCH_MAX * ENTRY_ROOM + 4095) & ~4095u)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

/* /proc/self/task has two links, and one more for each thread. */
static bool is_alone(void)
{
	struct statx tasks;

	return !system_statx(AT_FDCWD, "/proc/self/task", 0, STATX_NLINK, &tasks) && tasks.stx_nlink == 3;
}

/* Below the object: above it, a program's heap grows. */
static uint8_t *map_near(uintptr_t start, uintptr_t end)
{
	uintptr_t step = STEP, at = start & -(uintptr_t)STEP;

	for (unsigned i = 1; at > step && end - (at - step) < REACH; i++) {
		void *map;

		at -= step;
		map = system_mmap((void *)at, ISLANDS, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (map == (void *)at)
			return map;
		/* older kernels take the address as a hint */
		if (map != MAP_FAILED)
			system_munmap(map, ISLANDS);
		if (i % 16 == 0)
			step *= 2;
	}
	return NULL;
}

static bool make_entries(const struct patch *list, size_t count, uint8_t *islands,
			 struct entry *entries)
{
	for (size_t i = 0; i < count; i++) {
		entries[i] = (struct entry){
			.function = list[i].function,
			.size = list[i].size,
			.wrapper = list[i].wrapper,
			.room = islands + i * ENTRY_ROOM,
		};
		if (!entry_make(&entries[i]))
			return false;
	}
	return true;
}

/* ---- pages of code ---------------------------------------------------------------- */

struct pages {
	uint8_t *start;
	size_t size;
};

static struct pages pages_of(const struct entry *entry)
{
	uintptr_t page = (uintptr_t)getauxval(AT_PAGESZ);
	uintptr_t start = (uintptr_t)entry->at & -page;
	uintptr_t end = ((uintptr_t)entry->at + entry->jump_size + page - 1) & -page;

	return (struct pages){(uint8_t *)start, end - start};
}

static bool open_pages(struct pages pages)
{
	return !system_mprotect(pages.start, pages.size, PROT_READ | PROT_WRITE);
}

static void replace_pages(struct pages pages)
{
	void *copy = system_mmap(NULL, pages.size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return;
	memcpy(copy, pages.start, pages.size);
	if (system_mprotect(copy, pages.size, PROT_READ | PROT_EXEC) ||
	    system_move(copy, pages.size, pages.start) == MAP_FAILED)
		system_munmap(copy, pages.size);
}

static void close_pages(struct pages pages)
{
	if (system_mprotect(pages.start, pages.size, PROT_READ | PROT_EXEC))
		replace_pages(pages);
}

static bool open_all(const struct entry *entries, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (open_pages(pages_of(&entries[i])))
			continue;
		while (i--)
			close_pages(pages_of(&entries[i]));
		return false;
	}
	return true;
}

/* Two functions may share a page: write all before closing any. */
static bool write_all(const struct entry *entries, size_t count)
{
	if (!open_all(entries, count))
		return false;
	for (size_t i = 0; i < count; i++)
		memcpy(entries[i].at, entries[i].jump, entries[i].jump_size);
	for (size_t i = 0; i < count; i++)
		close_pages(pages_of(&entries[i]));
	return true;
}

static enum patch_result fill_islands(struct patch *list, size_t count, uint8_t *islands,
				      struct entry *entries)
{
	if (!make_entries(list, count, islands, entries))
		return PATCH_CODE;
	if (system_mprotect(islands, ISLANDS, PROT_READ | PROT_EXEC))
		return PATCH_PROTECTED;
	for (size_t i = 0; i < count; i++)
		list[i].trampoline = entries[i].trampoline;
	return PATCH_DONE;
}

enum patch_result patch_prepare(struct patch *list, size_t count, uintptr_t start, uintptr_t end,
				struct entry *entries)
{
	enum patch_result result;
	uint8_t *islands;

	if (!entry_can())
		return PATCH_NOT_HERE;
	if (!count || count > PATCH_MAX)
		return PATCH_CODE;
	islands = map_near(start, end);
	if (!islands)
		return PATCH_PROTECTED;
	result = fill_islands(list, count, islands, entries);
	if (result != PATCH_DONE)
		system_munmap(islands, ISLANDS);
	return result;
}

enum patch_result patch_functions(struct patch *list, size_t count, uintptr_t start, uintptr_t end)
{
	struct entry entries[PATCH_MAX];
	enum patch_result result;

	if (entry_can() && !is_alone())
		return PATCH_THREADS;
	result = patch_prepare(list, count, start, end, entries);
	if (result != PATCH_DONE || write_all(entries, count))
		return result;
	system_munmap(entries[0].room, ISLANDS);
	return PATCH_PROTECTED;
}
