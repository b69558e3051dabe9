/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to be called by programs that symbol order alone does not bring to us:
 * dlopen and dlsym (reach_dlsym.c), RTLD_DEEPBIND and dlmopen (reach_got.c).
 */
#ifndef SHIM_REACH_H
#define SHIM_REACH_H

#include "libssl.h"

/* Our function of that name, or NULL. */
void *reach_wrapper(const char *name);

/*
 * Looks at objects that were loaded since the last time: of our namespace, and of the one
 * that what dlsym found lies in. Cheap when there are none.
 */
void reach_got(const void *found);

#endif
