/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program or library in another process's memory: its file may be deleted, replaced, or in a
 * container. Nothing that is read is trusted.
 */
#ifndef TOOLS_LOOK_IMAGE_H
#define TOOLS_LOOK_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "look/names.h"

#define IMAGE_NEEDED 16
#define IMAGE_NAME 64

struct image {
	int memory;
	uint64_t start, end; /* all that its headers load */
	uint64_t bias;
	uint64_t symbols, strings, hash;
	uint64_t name, needed[IMAGE_NEEDED]; /* DT_SONAME, DT_NEEDED: addresses of strings */
	unsigned needed_count;
	uint64_t code;		   /* bytes of its largest part that is run */
	const struct names *names; /* of its file, NULL: they were not read */
};

/* Of what is mapped at `start`; false: no ELF file of this machine with dynamic symbols. */
bool image_read(int memory, uint64_t start, struct image *out);

/* The address and size of a variable or function that it defines; 0: none of that name. */
uint64_t image_object(const struct image *image, const char *name, uint64_t *size);
uint64_t image_function(const struct image *image, const char *name, uint64_t *size);

#endif
