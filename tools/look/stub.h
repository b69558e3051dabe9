/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code that runs functions of another process. It lives alone in its address
 * space: everything else of the tool is unmapped before the first call, and the
 * other process's memory comes in page by page, at the addresses where it lies
 * there. So the stub is one block: this head, its code, its stacks; it is copied
 * to where that process has nothing, and may refer to nothing outside.
 *
 * Descriptor 0 is its only one. It writes words (kind, value) and reads calls and
 * pages. What comes out of it is in the hands of whoever wrote the code that it runs.
 */
#ifndef TOOLS_LOOK_STUB_H
#define TOOLS_LOOK_STUB_H

#include <linux/filter.h>
#include <stdint.h>

/* What the stub says. */
enum stub_kind {
	STUB_READY = 1, /* before the first call */
	STUB_PAGE,	/* value: the address that is missing; a page or one byte is the answer */
	STUB_RETURNED,	/* value: of the function */
	STUB_FAULT,	/* value: the signal that it raised */
	STUB_SYSCALL,	/* value: the system call that it tried */
};

struct stub_word {
	uint64_t kind, value;
};

struct stub_call {
	uint64_t function, arguments[2];
};

#define STUB_SIZE 0x100000u /* of the block, and its alignment */
#define STUB_CODE 0x20000u
#define STUB_SIGNALS 0x30000u /* stack of the handlers */
#define STUB_THREAD 0x60000u  /* what the thread pointer points to: zeros around it */
#define STUB_BUFFER 0x80000u  /* one page, of 64 KiB at most */
#define STUB_STACK 0xfff00u   /* grows down from here */

#define STUB_RANGES 4096
#define STUB_FILTER 64

struct stub_range {
	uint64_t start, size;
};

struct stub {
	uint64_t resume; /* stack pointer of the call in flight */
	uint64_t page;	 /* size */
	uint64_t top;	 /* no page of a process lies from here on */
	uint32_t range_count, filter_count;
	struct stub_range ranges[STUB_RANGES]; /* to be unmapped */
	struct sock_filter filter[STUB_FILTER];
};
_Static_assert(sizeof(struct stub) <= STUB_CODE, "the head ends before the code");

/* All of the stub's code; the linker makes the names from that of the section. */
extern const char __start_look_stub[], __stop_look_stub[];
void stub_main(struct stub *stub) __attribute__((noreturn));

/* Whether there is one for this architecture. */
#if defined(__x86_64__)
#define STUB_EXISTS 1
#else
#define STUB_EXISTS 0
#endif

#endif
