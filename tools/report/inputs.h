/* SPDX-License-Identifier: Apache-2.0 */
/* The traces that a command line names: files, directories of traces, and "-". Never prints. */
#ifndef TOOLS_REPORT_INPUTS_H
#define TOOLS_REPORT_INPUTS_H

#include <stdbool.h>
#include <stddef.h>

struct input {
	char *path;
	char *label;  /* for people */
	bool listed;  /* found in a directory, not named itself */
	char *failed; /* no trace but a note that a process ran untraced: why (ENOSPC ...), else
			 NULL */
};

struct inputs {
	struct input *list;
	size_t count;
	size_t traces; /* those that are not `failed` */
};

/*
 * Adds what an argument names; -1 with errno, ENODATA: a directory without any
 * trace. Standard input is copied: reading it needs seeking.
 */
int inputs_add(struct inputs *inputs, const char *argument);
void inputs_free(struct inputs *inputs);

#endif
