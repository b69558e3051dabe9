/* SPDX-License-Identifier: Apache-2.0 */
/* A progress bar for long reads, only on a terminal. */
#ifndef TOOLS_REPORT_PROGRESS_H
#define TOOLS_REPORT_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct progress {
	FILE *out; /* NULL: no terminal */
	bool shown;
	uint64_t start_ns, drawn_ns;
	size_t file, files; /* the one being read, from 0 */
};

void progress_start(struct progress *progress, FILE *out, size_t files);
/* `done` of `total` of the current file. */
void progress_draw(struct progress *progress, uint64_t done, uint64_t total);
/* Wipes the bar: call it before any other output. */
void progress_wipe(struct progress *progress);

#endif
