/* SPDX-License-Identifier: Apache-2.0 */
/* A child process for what must be completed once it is begun. */
#ifndef TOOLS_ATTACH_APART_H
#define TOOLS_ATTACH_APART_H

#include <stddef.h>

/*
 * Runs a function in a child, which completes it even if the tool is killed, and which Ctrl-C does
 * not reach. What the child changes in `told` comes back; unchanged: it could not be run, or died.
 */
void apart_run(void (*work)(const void *context, void *told), const void *context, void *told,
	       size_t size);

#endif
