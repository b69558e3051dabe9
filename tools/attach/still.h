/* SPDX-License-Identifier: Apache-2.0 */
/* A program all of whose threads are stopped for a moment. */
#ifndef TOOLS_ATTACH_STILL_H
#define TOOLS_ATTACH_STILL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/aside.h"
#include "attach/program.h"

struct still;
/* Whether a thread is at one of these addresses, or will come back to one from a signal's handler. */
bool still_holds(const struct still *still, bool (*is_one)(uint64_t address, const void *context),
		 uint64_t least, uint64_t most, const void *context);

/* Returns ASIDE_DONE, or ASIDE_MOVED: not now; `what`, a constant, says why, of a thread. */
typedef enum aside still_work(const struct still *still, const struct program *program,
			      const void *context, const char **what);

/*
 * Stops them, calls work, and lets them go as if nothing had been: a system call goes on. Done by a
 * child process, which lets them go even if the tool is killed. errno says why it was refused.
 */
enum aside still_run(const struct program *program, still_work *work, const void *context,
		     uint64_t *stopped_ns, const char **what);

#endif
