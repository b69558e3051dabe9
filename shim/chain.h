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

/* Their version of each function, looked up once; NULL: none. */
/*
 * Another library that wraps functions of libssl comes before the shim: some calls may bypass the
 * shim.
 */
extern bool chain_has_before __attribute__((visibility("hidden")));

extern struct functions chain_next __attribute__((visibility("hidden")));
void chain_find(void);

/*
 * Whether that call goes on to them. It does not if it was marked to bypass them, or if the calls
 * are recursive, which shows as ever deeper frames with the same function and object.
 */
bool chain_takes(enum function_id function, const void *object);
/* This thread's next call bypasses them. */
void chain_pass(enum function_id function);

#endif
