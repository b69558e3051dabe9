/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_WRAPPERS_H
#define SHIM_WRAPPERS_H

#include <stdbool.h>

/*
 * The shim's function of that name, or NULL, for a call that would have gone to `found`; it
 * bypasses other libraries' wrappers unless `found` is one of them. `found` NULL: not known.
 */
void *wrapper_of(const char *name, const void *found);
/* Whether it is the function of another library to which the shim forwards. */
bool wrapper_follows(const char *name, const void *found);

#endif
