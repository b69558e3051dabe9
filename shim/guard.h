/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim writes to its file with plain stores. If the file is truncated or its disk is full, the
 * kernel sends SIGBUS. The shim's handler then replaces the missing part with memory, unnoticed by
 * the program, which still sees its own disposition of SIGBUS. A SIGBUS for another reason is
 * delivered as without the shim.
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
	void (*lost)(void);  /* the whole file was replaced by memory; called in the handler */
	void (*part)(void);  /* a part of it was; likewise */
	bool (*restore)(void); /* no memory may be put there: gives the file its length back; likewise */
	void (*blocked)(void); /* some thread blocks SIGBUS */
};

/* From now on the shim handles SIGBUS in that range. */
void guard_install(const struct guard *guard);

/*
 * Replaces the file with memory, in case another thread still writes there, and gives SIGBUS back
 * to the program. False: out of memory, and nothing has changed.
 */
bool guard_remove(void);

/*
 * A SIGBUS would kill a thread that blocks it. Between these two calls the thread does not block
 * it, and no code of the program runs. They cost a system call in such threads, and one in the
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

/* ---- for the functions with which the program sets or reads them ------------------ */

bool guard_is_on(void);
/* This is no child by vfork, as far as may be asked. */
bool guard_is_own(void);
/* What the program would see without us. */
int guard_sigaction(const struct sigaction *act, struct sigaction *old);
/* Puts SIGBUS back into the masks of other handlers, as the program set them. */
void signals_give_back(void);
/* The thread's mask may have changed. */
void guard_mask_changed(bool blocks);

#endif
