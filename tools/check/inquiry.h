/* SPDX-License-Identifier: Apache-2.0 */
/* One question being answered; what the files of this room share. */
#ifndef TOOLS_CHECK_INQUIRY_H
#define TOOLS_CHECK_INQUIRY_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "check/check.h"
#include "check/closure.h"

struct inquiry {
	struct check_result *result;
	struct closure closure;
	const char *path; /* $PATH */
	char shim[PATH_MAX]; /* "" when there is none */
	bool shim_is_missing; /* and that is a reason */
	struct object shim_object; /* or this tool's, where there is no shim */
	uid_t uid, gid; /* who runs the program */
	bool running;	/* a process, not a file */
	bool blocked;	/* a reason was found that applies however the program does TLS */
	int fd;		/* the program's file */
};

/* target.c: finds the program's file through PATH and #!; opens it in inquiry->fd. */
int find_program(struct inquiry *inquiry, const char *name);

/* obstacles.c: what keeps the shim out in any case; sets blocked. */
void find_obstacles(struct inquiry *inquiry);

/* users.c: which objects of the closure, from the entry `first` on, call libssl; true if any do. */
bool find_users(struct inquiry *inquiry, size_t first);
/* Whether a libssl is an OpenSSL that the shim knows. */
bool is_openssl_file(struct inquiry *inquiry, const char *path);
/* TLS that is not a shared OpenSSL, by the names of libraries; true when there is some. */
#define OTHER_DECIDES 1u /* it is the answer, not a note */
#define OTHER_NEAR    2u /* only what the entry `first` itself needs */
#define OTHER_FAR     4u /* only what it does not need itself */
bool find_other_tls(struct inquiry *inquiry, size_t first, unsigned how);

/* hosts.c: plugins on disk of programs known to load them. */
bool find_plugins(struct inquiry *inquiry);

/* inside.c: TLS that is linked in, or looked up by name; true when something was found. */
bool find_inside(struct inquiry *inquiry);

/* lacks.c: what the trace of a process that has the shim lacks. `socket` and `preload`: its variables. */
void note_filter(struct check_result *result, long mode, const char *socket);
void note_preloads(struct check_result *result, const struct root *root, const char *preload);

/* check.c: all of the above for the program in inquiry->fd. */
int examine(struct inquiry *inquiry);
int inquiry_begin(struct inquiry *inquiry, const struct check_options *options,
		  struct check_result *result, const char *target);
/* Returns `ret`, or an error if memory ran out anywhere. */
int inquiry_end(struct inquiry *inquiry, int ret);

#endif
