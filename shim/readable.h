/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What memory of this thread may be read during a stack walk. The current page of the stack is
 * readable; others are checked, page by page upward, with a system call that copies from them and
 * then fails: no descriptor, lock, allocation or signal. If the kernel must not be asked, only what
 * is certain may be read: everything above the current frame on the main thread's stack, the rest
 * of the page on others.
 */
#ifndef SHIM_READABLE_H
#define SHIM_READABLE_H

#include <stdbool.h>
#include <stdint.h>

struct readable {
	uintptr_t low, high; /* may be read, without a gap */
	bool ask;	     /* the kernel may be asked about more */
	bool moved;	     /* the range no longer begins where the walk began */
};

/* Once, early: checks that the kernel's answers are genuine. */
void readable_prepare(void);
/* `sp`: an address on the current page of the stack. */
void readable_begin(struct readable *range, uintptr_t sp, bool ask);
/* Reads a word of the stack; false: not aligned, or not readable. */
bool readable_word(struct readable *range, uintptr_t at, uint64_t *word);
/* Whether words anywhere, such as code, are readable; does not change the range. */
bool readable_elsewhere(const struct readable *range, uintptr_t at);

/*
 * Whether the range is on the thread's original stack, which exists as long as the thread; if so,
 * extends it to `last`.
 */
bool readable_is_own_stack(struct readable *range, uintptr_t sp, uintptr_t last);

#endif
