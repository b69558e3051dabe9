/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_REACH_GOT_H
#define SHIM_REACH_GOT_H

#include <stdbool.h>

/*
 * Looks at objects that were loaded since the last time: of our namespace, and of the one
 * that what dlsym found lies in. Cheap when there are none.
 */
void reach_got(const void *found);

/*
 * In a program that ran before we came: takes over the slots of all that is loaded, for our
 * functions and for these others of ours. Ends with an empty name; stays in use. False: what
 * is loaded does not come to rest.
 */
struct reach_other {
	const char *name;
	void *real, *ours;
};
bool reach_attach(const struct reach_other *table);
/* They lead again where they led before. */
void reach_detach(void);

#endif
