/* SPDX-License-Identifier: Apache-2.0 */
/* Reasons not to attach to a process, from the kernel. */
#ifndef TOOLS_ATTACH_OBSTACLES_H
#define TOOLS_ATTACH_OBSTACLES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* 0, or -1 and a sentence without a full stop. */
int obstacles_look(pid_t pid, bool force, char *why, size_t size);

/* A number from /proc/PID/status, by the name of its line; -1: not known. */
long obstacles_field(pid_t pid, const char *name);

#endif
