/* SPDX-License-Identifier: Apache-2.0 */
/* The process that an argument of a command names. */
#ifndef TOOLS_LIVE_TARGET_H
#define TOOLS_LIVE_TARGET_H

#include <sys/types.h>

/* A process id in digits; 0: it is none. */
pid_t target_parse(const char *text);

#endif
