/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_REACH_GOT_H
#define SHIM_REACH_GOT_H

#include <stdbool.h>

/*
 * Redirects objects loaded since the last call, in our namespace and in the one that `found`, a
 * result of dlsym, is in. Cheap if there are none.
 */
void reach_got(const void *found);

/*
 * In a program that was already running: redirects the slots of all loaded objects, for our
 * OpenSSL functions and these others. The table ends with an empty name, and stays in use. False:
 * the program keeps loading objects.
 */
struct reach_other {
	const char *name;
	void *real, *ours;
};
bool reach_attach(const struct reach_other *table);
/* Restores the slots. */
void reach_detach(void);

#endif
