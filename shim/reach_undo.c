/* SPDX-License-Identifier: Apache-2.0 */
#include "reach_undo.h"
#include "system.h"

#include <stddef.h>
#include <sys/mman.h>

struct undo {
	uintptr_t *slot;
	uintptr_t value;
};

/* Not malloc: the program's own malloc may be redirected at this moment. */
#define UNDOS 65536
static struct undo *list;
static uint32_t count;

static bool make_room(void)
{
	void *memory = system_mmap(NULL, UNDOS * sizeof(*list), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	list = memory;
	return true;
}

bool undo_find(const uintptr_t *slot, uintptr_t *value)
{
	/*
	 * the newest entry counts: another object may have been
	 * loaded at the place of an unloaded one
	 */
	for (uint32_t i = count; i-- > 0;) {
		if (list[i].slot == slot) {
			*value = list[i].value;
			return true;
		}
	}
	return false;
}

bool undo_note(uintptr_t *slot, uintptr_t value)
{
	if ((!list && !make_room()) || count == UNDOS)
		return false;
	list[count++] = (struct undo){slot, value};
	return true;
}

void undo_forget(void)
{
	count = 0;
}

uint32_t undo_count(void)
{
	return count;
}
