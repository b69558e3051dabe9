/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of environment.h, read once before main: in every process, most of
 * which never shake hands. Each page that is touched costs more than the reading, so
 * that this calls as little of libc as it can.
 */
#ifndef SHIM_SETTINGS_H
#define SHIM_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#define REACH_DLSYM 1u
#define REACH_GOT 2u

struct settings {
	bool known;
	bool directory_is_default; /* then it is made, and refused unless it is ours */
	uint64_t size;
	uint32_t mode; /* enum tlstall_mode */
	bool stacks, socket;
	uint32_t reach;	      /* REACH_* */
	uint32_t bad_settings; /* TLSTALL_BAD_SETTING() bits */
	char directory[PATH_MAX]; /* "" : no trace can be made */
};

extern struct settings settings;

/* Reads the environment; later calls do nothing. */
void settings_read(void);

#endif
