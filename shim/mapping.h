/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapped trace file, made by making.c; which process this is (mapping.c);
 * the length of a tick (mapping_time.c).
 */
#ifndef SHIM_MAPPING_H
#define SHIM_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tlstall/trace.h"

/*
 * Everything that the shim relies on is here, in its own memory: other writers of the file cannot
 * mislead it.
 */
struct mapping {
	struct tlstall_header *header; /* NULL: no trace (yet) */
	struct tlstall_string *states, *strings;
	struct tlstall_process *processes;
	struct tlstall_module *modules;
	struct tlstall_stack *stacks;
	struct tlstall_handshake *handshakes;
	struct tlstall_event *opening, *rest;
	struct tlstall_summary *history;
	uint32_t slot_count, opening_mask, rest_mask, history_mask;
	uint32_t string_room, process_room, module_room, stack_room;
	bool forked;
	bool attached; /* the shim was attached to a running program */
	uint64_t size;
	bool usable; /* false: the next call must make another file */
	/* number of files that replaced a lost one; the contents of lost files are gone */
	uint32_t generation;
	uint64_t last_number; /* of a handshake of this process */
	uint64_t earlier;     /* the last one that an earlier attachment recorded */
	struct tlstall_clock_pair first;
};

extern struct mapping mapping __attribute__((visibility("hidden")));
/*
 * The control words: those of the file, or a private copy before the file exists. Read in each call
 * without synchronization, as a pointer is read atomically; marked for the thread sanitizer.
 */
#ifdef __SANITIZE_THREAD__
typedef struct tlstall_control *_Atomic control_pointer;
#else
typedef struct tlstall_control *control_pointer;
#endif
extern control_pointer control __attribute__((visibility("hidden")));

/*
 * Makes the file at the first call, which must come before a chroot or a change of user, and a new
 * one if it was lost. False: the program runs untraced.
 */
bool mapping_make(void);
/* The same in a program that was running before the shim was attached. */
bool mapping_attach(uint32_t mode);
/* Dormant from now on: the trace is closed, and the shim no longer depends on its file. */
void mapping_let_go(void);
/*
 * Writes the counts of lost things to the header, and reads settings from it. Called now and then.
 */
void mapping_renew(struct tlstall_header *header);

static inline bool mapping_open(void)
{
	return __builtin_expect(__atomic_load_n(&mapping.usable, __ATOMIC_ACQUIRE), 1) ||
	       mapping_make();
}

/* Index of this process in PROCESSES; notices a fork, however it was made. */
enum { IDENTITY_NONE, IDENTITY_KNOWN, IDENTITY_MAKING };
struct identity {
	uint32_t state; /* NONE after a fork: the page is wiped */
	uint16_t process;
	pid_t pid;	      /* the guard's */
	bool threaded_parent; /* a forked child of a process with threads: the loader may stay
			         locked forever */
};
extern struct identity *mapping_process __attribute__((visibility("hidden")));
/* From the start, because a fork may leave the loader locked in the child. */
void mapping_notice_forks(void);
bool mapping_make_identity(void);
void mapping_become_process(void);
/* Gives this process an entry in a file that replaced another. */
void mapping_join(void);

static inline const struct identity *mapping_identity(void)
{
	if (__builtin_expect(__atomic_load_n(&mapping_process->state, __ATOMIC_ACQUIRE) !=
				     IDENTITY_KNOWN,
			     0))
		mapping_become_process();
	return mapping_process;
}

/* Whether this is that process; false also if that is not known yet, as after a fork. */
static inline bool mapping_is_process(uint16_t process)
{
	return __atomic_load_n(&mapping_process->state, __ATOMIC_ACQUIRE) == IDENTITY_KNOWN &&
	       mapping_process->process == process;
}

/* gettid(2), asked once by each thread and again after a fork. */
struct thread_id {
	uint32_t tid; /* 0: not asked yet */
	uint16_t process;
};
extern __thread struct thread_id mapping_thread __attribute__((visibility("hidden")));
uint32_t mapping_ask_tid(uint16_t process);

static inline uint32_t mapping_tid(void)
{
	uint16_t process = mapping_identity()->process;

	if (__builtin_expect(!mapping_thread.tid || mapping_thread.process != process, 0))
		return mapping_ask_tid(process);
	return mapping_thread.tid;
}

/*
 * Prepares a part of the file for writing. The first touch of each page, and the first after its
 * writeback, is a page fault; preparing many at once costs half of that.
 */
void mapping_ahead(void *from, size_t size);

/* Refreshes the header's second clock pair when the last one is old. */
void mapping_keep_time(uint64_t ticks);
/* Measured since the file was made; `now` in ticks. */
uint64_t mapping_ticks_per_ms(uint64_t now);
/* The inverse, times 2^32. */
uint64_t mapping_ns_per_tick(uint64_t now);

#endif
