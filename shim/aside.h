/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Not every function with a name of OpenSSL's is OpenSSL's. A library of the program may have one of
 * its own, with other parameters; and programs ask by weak references, or by dlsym, whether there is
 * one at all. Where no OpenSSL has the function, slots that lead to us are given what they would hold
 * without us.
 */
#ifndef SHIM_ASIDE_H
#define SHIM_ASIDE_H

#include <stdbool.h>

/* For objects loaded since the last call; with the loader held. */
void aside_new_objects(void);

/*
 * False: some OpenSSL in the process has this function. Otherwise `found` is the first of that name in
 * symbol order, after the object that holds the address `after` if that is not NULL; NULL: nobody's.
 */
bool aside_is_none_of_ours(const char *name, const void *after, void **found);

/*
 * The function of a plugin's own, or of its library's, that only code of that plugin finds by
 * RTLD_DEFAULT, for the plugin that holds the address; NULL: none.
 */
void *aside_of_plugin(const char *name, const void *caller);

/*
 * Whether the function that the global order has for code at this address (NULL: for the program) is
 * ours, unless an object after us has it, too.
 */
bool aside_finds_ours(const char *name, const void *caller);

#endif
