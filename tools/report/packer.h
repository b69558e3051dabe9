/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes into a page: gzip, then base64. A third of the size for the browser to
 * parse, and no text of a trace stands in the markup.
 */
#ifndef TOOLS_REPORT_PACKER_H
#define TOOLS_REPORT_PACKER_H

#include <stddef.h>
#include <stdio.h>

struct packer;

/* NULL: out of memory; the other functions then only report it. */
struct packer *packer_start(FILE *out);
void packer_add(struct packer *packer, const void *bytes, size_t size);
/* 0, or -1 if anything went wrong; errors of `out` are the caller's to find. */
int packer_end(struct packer *packer);

#endif
