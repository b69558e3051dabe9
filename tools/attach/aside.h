/* SPDX-License-Identifier: Apache-2.0 */
/* Sends a waiting thread through the stub: the only moment in which it is stopped. */
#ifndef TOOLS_ATTACH_ASIDE_H
#define TOOLS_ATTACH_ASIDE_H

#include "attach/program.h"
#include "attach/waiting.h"

enum aside {
	ASIDE_DONE,
	ASIDE_MOVED,   /* it no longer waits there: nothing was changed */
	ASIDE_STOPPED, /* somebody has stopped the process */
	ASIDE_REFUSED, /* errno says why */
	ASIDE_UNKNOWN, /* the child was killed: the thread may be on its way */
};

struct stub_words;

/*
 * `code`: the stub's address in that process; `words`: all but its own address. Done by a child
 * process, so that it completes even if the tool is killed. Never leaves a thread stopped.
 */
enum aside aside_lead(const struct program *program, const struct waiting *waiting, uint64_t code,
		      const struct stub_words *words, uint64_t *stopped_ns);

#endif
