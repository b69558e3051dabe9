/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Libraries that are loaded when they are first needed. libcurl brings libssl along and
 * libmicrohttpd brings GnuTLS: no command but the one that uses them should start more slowly for
 * them, or fail because LD_LIBRARY_PATH or LD_PRELOAD, set for a program with a TLS problem,
 * leads to a libssl that the tool cannot use.
 */
#ifndef TOOLS_LATE_H
#define TOOLS_LATE_H

#include <stddef.h>

struct late_function {
	const char *name;
	void **to;
};

/* NULL, or why a function is not there; valid until the next call of libdl. */
const char *late_load(const char *library, const struct late_function *functions, size_t count);

#endif
