/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the shim may make system calls that the program does not make itself. A seccomp filter
 * may kill the process for an unexpected system call, and nothing says which calls it allows: under
 * a filter, none is made for a handshake, unless TLSTALL_SOCKET=on allows it. A filter from before
 * the program's start is seen in /proc; a later one is noticed because prctl(2) is interposed.
 */
#ifndef SHIM_ASK_H
#define SHIM_ASK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

extern uint32_t ask_filtered __attribute__((visibility("hidden")));

static inline bool ask_may(void)
{
	return __builtin_expect(!__atomic_load_n(&ask_filtered, __ATOMIC_RELAXED), 1);
}

/* Looks whether a filter is in force, once. */
void ask_look(void);
/* The program is about to install one. */
void ask_note_filter(void);
/* gettid(2) and getpid(2); under a filter, without a system call, the thread's id for both. */
pid_t ask_tid(void);
pid_t ask_pid(void);

#endif
