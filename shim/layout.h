/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each section is in the file. Computed, and never read back from the file: other processes
 * may write there.
 */
#ifndef SHIM_LAYOUT_H
#define SHIM_LAYOUT_H

#include "tlstall/trace.h"

#define LAYOUT_SECTIONS (TLSTALL_SECTION_HISTORY + 1)

struct layout {
	struct tlstall_section section[LAYOUT_SECTIONS];
	uint64_t size;
};

struct layout layout_plan(uint64_t size);
void *layout_section(const struct layout *layout, char *base, enum tlstall_section_id id);
/* The sizes of all sections, and the one table with known contents. */
void layout_write(const struct layout *layout, struct tlstall_header *header);

/* Bytes of a file written when it is made: header and functions. */
#define LAYOUT_FIRST 8192

#endif
