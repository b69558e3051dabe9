/* SPDX-License-Identifier: Apache-2.0 */
/* Creates, sizes and maps the trace file; knows which process we are. */
#ifndef SHIM_MAPPING_H
#define SHIM_MAPPING_H

#include <stdbool.h>
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

extern struct mapping mapping;
/* The control words: those of the file, or a private copy before there is one. */
extern struct tlstall_control *control;

/*
 * Makes the file on the first call, which has to come before a chroot or a
 * change of user. False: the program runs untraced.
 */
bool mapping_open(void);

/* Index of this process in PROCESSES; notices a fork, however it was made. */
struct identity {
	uint32_t alive; /* 0 after a fork: the page is wiped */
	uint16_t process;
	bool threaded_parent; /* a forked child whose parent had threads: must not unwind */
};
const struct identity *mapping_identity(void);
uint32_t mapping_tid(void);

/* Refreshes the header's second clock pair when the last one is old. */
void mapping_keep_time(uint64_t ticks);
/* Measured since the file was made. */
uint64_t mapping_ticks_per_ms(void);
uint64_t mapping_ticks_to_ns(uint64_t ticks);

#endif
