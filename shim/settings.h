/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The settings of environment.h, read once before main, in every process, although most processes
 * never make a handshake. Touching a page costs more than reading the environment, so this calls
 * as little of libc as possible.
 */
#ifndef SHIM_SETTINGS_H
#define SHIM_SETTINGS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REACH_DLSYM 1u
#define REACH_GOT 2u
#define REACH_INSIDE 4u

enum socket_setting { SOCKET_OFF, SOCKET_ON, SOCKET_AUTO };

struct settings {
	bool known;
	bool directory_is_default; /* then it is created, and refused unless it is ours */
	uint64_t size;
	uint32_t mode; /* enum tlstall_mode */
	bool stacks;
	uint32_t socket; /* enum socket_setting */
	uint32_t reach;	      /* REACH_* */
	uint32_t keep;	      /* enum tlstall_keep */
	uint32_t late_ms, sample; /* see environment.h */
	bool remote;
	uint32_t privacy; /* enum tlstall_privacy, bits */
	uint64_t limit; /* bytes, 0: none */
	bool private_directory; /* a temporary directory for one attach, without TLSTALL_LIMIT */
	uint32_t bad_settings; /* TLSTALL_BAD_SETTING() bits */
	char directory[PATH_MAX]; /* "" : no trace can be made */
};

extern struct settings settings;

/* Reads the environment; later calls do nothing. */
void settings_read(void);
/* The default directory for the current environment, which some programs clear. */
void settings_default_directory(char *to, size_t size);

#endif
