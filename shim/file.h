/* SPDX-License-Identifier: Apache-2.0 */
/* The trace file on disk: its name, its room, and a note when there is none. */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * Makes and maps a new file; NULL: leaves a note of the reason where it can. *image is
 * the number of traces that this process left before, as other programs.
 */
char *file_create(uint64_t start_time, uint64_t size, uint32_t *image);
/* Removes it: there was nothing to say. */
void file_remove(void);

/* Reads a small file as text; bytes read or -1. The text always ends. */
ssize_t file_read_small(const char *path, char *buffer, size_t size);

#endif
