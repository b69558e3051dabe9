/* SPDX-License-Identifier: Apache-2.0 */
/* The trace file on disk: its directory, name and room, and a note when there is none. */
#ifndef SHIM_FILE_H
#define SHIM_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "self.h"
#include "tlstall/trace.h"

/* A file that is being made: it has no name until it is complete. */
struct file {
	int fd;
	bool named; /* it has a temporary name until then */
	bool shared_directory;
};

/* Makes and maps a file; NULL: failed, and left a note of the reason if possible. */
char *file_make(struct file *file, const struct self *self, uint64_t size);
/* Whether it may succeed later: it failed for lack of a descriptor or memory. */
bool file_may_come(void);
/*
 * Gives it its name, after which `tag` and `image` of its header match the name. False: the file is
 * gone.
 */
bool file_publish(struct file *file, const struct self *self, struct tlstall_header *header);
/* Writes its name's `tag` and `image` into a copy of the header. */
void file_name_in(struct tlstall_header *copy);
/* From now on, this is the file that can be restored. */
void file_is_mapped(void);
/*
 * For a signal handler: a descriptor of the file, which has its length again, or -1. What was there is
 * gone.
 */
int file_restore(uint64_t size);
/* Removes it: there was nothing to say. */
void file_remove(void);
/* It stays, and takes about so much. */
void file_stays(uint64_t bytes);

#endif
