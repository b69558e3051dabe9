/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tables and paths of which usually only the beginning is used: they are
 * placed after all other data, so that small variables share few pages. A process
 * pays for a page only when it touches it.
 */
#ifndef SHIM_LARGE_H
#define SHIM_LARGE_H

#include <limits.h>

#define LARGE __attribute__((section(".bss.large")))

/* Belongs to the thread that is making a trace, until it calls another function that may use it. */
extern char large_path[PATH_MAX + 96];

#endif
