/* SPDX-License-Identifier: Apache-2.0 */
/* The original contents of redirected slots, for detaching. */
#ifndef SHIM_REACH_UNDO_H
#define SHIM_REACH_UNDO_H

#include <stdbool.h>
#include <stdint.h>

/* Both while the loader is held (elf_hold). False: out of memory. */
bool undo_note(uintptr_t *slot, uintptr_t value);
bool undo_find(const uintptr_t *slot, uintptr_t *value);
void undo_forget(void);
/* The number of noted slots. */
uint32_t undo_count(void);

#endif
