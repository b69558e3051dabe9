/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other libraries that wrap functions of libssl and come between the shim and libssl in symbol
 * order: after the shim in LD_PRELOAD, or among the program's own libraries. A call that came by
 * symbol order goes on to them; a call that would have bypassed them without the shim (dlsym with a
 * handle, RTLD_DEEPBIND, dlmopen) does not.
 */
#ifndef SHIM_CHAIN_H
#define SHIM_CHAIN_H

#include <stdbool.h>

#include "libssl.h"

/*
 * Another library that wraps functions of libssl comes before the shim: some calls may bypass the
 * shim.
 */
extern bool chain_has_before __attribute__((visibility("hidden")));

/* Their version of each function, looked up once; NULL: none. */
extern struct functions chain_next __attribute__((visibility("hidden")));
void chain_find(void);

/* A call that goes on to them: the circle is a recursion of such calls. */
struct chain_place {
	const void *object;
	uintptr_t frame;
	uint8_t function, depth;
};

/*
 * Whether that call goes on to them. It does not if it was marked to bypass them, or if they call
 * back to us again and again. What was the innermost call before is kept in `outer`, and becomes
 * it again when this one returns.
 */
bool chain_takes(enum function_id function, const void *object, struct chain_place *outer);
void chain_leave(const struct chain_place *outer);
/* This thread's next call bypasses them. */
void chain_pass(enum function_id function);

#endif
