/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that the tool starts in another program for one task, after which it ends. */
#ifndef TOOLS_ATTACH_ERRAND_H
#define TOOLS_ATTACH_ERRAND_H

#include "attach/program.h"
#include "attach/stub.h"

struct errand {
	struct program *program;
	uint64_t code, page; /* where they lie there */
	uint64_t made_ns;    /* by which the page is known */
	pid_t tid;	     /* in its own namespace */
	pid_t led;	     /* the thread that started it, or may do so */
	uint64_t stopped_ns; /* for how long a thread of its own was stopped */
};

/*
 * Starts the thread, which waits for an order. Returns 0, or -1 and a sentence without a full stop.
 */
int errand_begin(struct program *program, struct errand *out, char *why, size_t size);
/* Gives it an order, with the other contents of the page, and waits until it is done. */
int errand_order(struct errand *errand, struct stub_page *page, enum stub_order order, char *why,
		 size_t size);
/* It may go; waits until it has. */
void errand_end(struct errand *errand);

#endif
