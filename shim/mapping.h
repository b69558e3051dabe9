/* SPDX-License-Identifier: Apache-2.0 */
/* Creates, sizes and maps the trace file; knows which process we are. */
#ifndef SHIM_MAPPING_H
#define SHIM_MAPPING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/trace.h"

struct mapping {
	struct tlstall_header *header; /* NULL: no trace (yet) */
	struct tlstall_string *states, *strings;
	struct tlstall_process *processes;
	struct tlstall_module *modules;
	struct tlstall_stack *stacks;
	struct tlstall_handshake *handshakes;
	struct tlstall_event *opening, *rest;
	uint32_t slot_count, opening_mask, rest_mask;
};

extern struct mapping mapping __attribute__((visibility("hidden")));
/* The control words: those of the file, or a private copy before there is one. */
extern struct tlstall_control *control __attribute__((visibility("hidden")));

/*
 * Makes the file on the first call, which has to come before a chroot or a
 * change of user. False: the program runs untraced.
 */
bool mapping_make(void);

static inline bool mapping_open(void)
{
	return __builtin_expect(__atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE) != NULL, 1) ||
	       mapping_make();
}

/* Index of this process in PROCESSES; notices a fork, however it was made. */
enum { IDENTITY_NONE, IDENTITY_KNOWN, IDENTITY_MAKING };
struct identity {
	uint32_t state; /* NONE after a fork: the page is wiped */
	uint16_t process;
	bool threaded_parent; /* a forked child whose parent had threads: must not unwind */
};
extern struct identity *mapping_process __attribute__((visibility("hidden")));
void mapping_become_process(void);

static inline const struct identity *mapping_identity(void)
{
	if (__builtin_expect(__atomic_load_n(&mapping_process->state, __ATOMIC_ACQUIRE) !=
				     IDENTITY_KNOWN,
			     0))
		mapping_become_process();
	return mapping_process;
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
 * Makes a part of the file ready to be written. The kernel takes a fault for each page that
 * is touched first, or first after it went to disk: many at once cost half of that.
 */
void mapping_ahead(void *from, size_t size);

/* Refreshes the header's second clock pair when the last one is old. */
void mapping_keep_time(uint64_t ticks);
/* Measured since the file was made; `now` in ticks. */
uint64_t mapping_ticks_per_ms(uint64_t now);

#endif
