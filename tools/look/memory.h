/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of another process. By a descriptor of its /proc/PID/mem: that
 * stands for the memory itself, so a process that comes after it under the same
 * id is never read in its place.
 */
#ifndef TOOLS_LOOK_MEMORY_H
#define TOOLS_LOOK_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* -1 with errno. */
int memory_open(pid_t pid);

/* All of it, or false. */
bool memory_read(int memory, uint64_t address, void *buffer, size_t size);

/* A string, cut to the buffer; always terminated. False: it cannot be read. */
bool memory_text(int memory, uint64_t address, char *buffer, size_t size);

#endif
