/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim writes to its file by plain stores. If the file is truncated or its disk is full, the
 * kernel sends SIGBUS. The shim's handler then replaces the missing part with memory, unnoticed by
 * the program: the program still sees its own disposition of SIGBUS, and a SIGBUS that is not about
 * this file is delivered as without the shim.
 */
#ifndef SHIM_GUARD_H
#define SHIM_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guard {
	uintptr_t start, end; /* the mapping; 0: none, and no handler of ours is installed */
	size_t page;
	pid_t *pid;	     /* on a page that is zeroed in forked children */
	void (*lost)(void);  /* all of the file has been replaced by memory; called in the handler */
	void (*part)(void);  /* a part has; likewise */
	void (*blocked)(void); /* some thread blocks SIGBUS */
};

/* From now on SIGBUS in that range is ours. */
void guard_install(const struct guard *guard);

/*
 * Replaces the file with memory, in case another thread still writes there, and gives SIGBUS back
 * to the program. False: out of memory, and nothing has changed.
 */
bool guard_remove(void);

/*
 * A SIGBUS would kill a thread that blocks it. Between these two calls the thread does not block
 * it; no code of the program runs there. They cost a system call in such threads, and one in the
 * life of every other thread.
 */
enum guard_mask { GUARD_UNKNOWN, GUARD_OPEN, GUARD_BLOCKED };
extern __thread uint8_t guard_mask __attribute__((visibility("hidden")));
void guard_open(void);
void guard_close(void);

static inline void guard_enter(void)
{
	if (__builtin_expect(guard_mask != GUARD_OPEN, 0))
		guard_open();
}

static inline void guard_leave(void)
{
	if (__builtin_expect(guard_mask != GUARD_OPEN, 0))
		guard_close();
}

/* ---- for the functions with which the program asks or sets ------------------------ */

bool guard_is_on(void);
/* What the program would see without us. */
int guard_sigaction(const struct sigaction *act, struct sigaction *old);
/* Masks of other handlers contain SIGBUS again, as the program set them. */
void signals_give_back(void);
/* The mask may be another one now. */
void guard_mask_changed(bool blocks);

#endif
