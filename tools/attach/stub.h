/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What runs in another program to bring the shim in. It is written to where that program
 * has code that nobody executes, and refers to nothing outside.
 *
 * A thread that waits is led through the first half: it blocks its signals, maps a page,
 * has pthread_create() start the second half, and gives itself back all its registers. So
 * it needs nobody once it is on its way. The second half waits for the tool to say what to
 * do, does that, and takes the page away; it gives up by itself when nobody comes.
 *
 * Where the first half gives the thread its signals back, a handler may run, for any time, and
 * return into it. So the page stays until the first half has done that, and its code until no
 * thread, and no handler, may return to it. The second half takes the page away in libc's code, and never comes back from there.
 */
#ifndef TOOLS_ATTACH_STUB_H
#define TOOLS_ATTACH_STUB_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "tlstall/attach.h"

enum stub_order {
	STUB_WAIT = 0,
	STUB_LEAVE,	/* and do nothing */
	STUB_OPEN_FILE, /* make an unnamed file, which the tool fills, and wait again */
	STUB_LOAD,	/* the library, and call its entry */
	STUB_CALL,	/* its entry, which is known */
};

/* The page; both sides write to it. */
struct stub_page {
	uint64_t thread; /* pthread_t */
	volatile uint32_t ready; /* the thread's id in its own namespace: it is there */
	volatile uint32_t order; /* enum stub_order */
	volatile uint32_t done;	 /* the order that was obeyed last */
	volatile uint32_t seen;	 /* nobody looks at the page any more */
	volatile uint32_t left;	 /* the thread that was led has all but left the first half */
	volatile int32_t file;	 /* descriptor, or -errno */
	uint32_t opened;	 /* it is to be closed */
	volatile uint64_t made_ns; /* that of the words: it is this page, and no other mapping there */
	uint64_t open, symbol, error; /* dlopen, dlsym, dlerror */
	uint64_t entry, result;
	char entry_name[32];
	char message[512]; /* why it could not be loaded */
	char path[PATH_MAX];
	struct tlstall_attach arguments;
};
#define STUB_PAGE 16384u
#define STUB_LEFT 24 /* offset of left, for the first half */
_Static_assert(offsetof(struct stub_page, left) == STUB_LEFT, "the first half knows where it is");
_Static_assert(sizeof(struct stub_page) <= STUB_PAGE, "the page is large enough");

/* How long the second half waits for the tool in each step. */
#define STUB_PATIENCE_MS 5000

/* What differs from one use to the next, at the start of the code. */
struct stub_words {
	uint64_t sp, pc; /* the thread's own */
	uint64_t page;	 /* where that is to lie */
	uint64_t create, detach; /* pthread_create, pthread_detach */
	uint64_t mask;		 /* all signals */
	uint64_t made_ns;	 /* CLOCK_MONOTONIC: when it was written */
	uint64_t unmap;		 /* munmap */
};

/* Bytes of the thread's stack that the first half uses, including pthread_create(). */
#define STUB_STACK 24576u
/* Bytes between the thread's stack pointer and the first half's. */
#define STUB_RED_ZONE 256u

/* All of it, the words first, and where it is entered. The linker makes two names of the section's. */
extern char __start_attach_stub[], __stop_attach_stub[];
extern char attach_stub_entry[];

#if defined(__x86_64__)
#define ATTACH_STUB_EXISTS 1
#else
#define ATTACH_STUB_EXISTS 0
#endif

#endif
