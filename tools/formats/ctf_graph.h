/* SPDX-License-Identifier: Apache-2.0 */
/* Events as a trace in the Common Trace Format, written by libbabeltrace2. */
#ifndef TOOLS_FORMATS_CTF_GRAPH_H
#define TOOLS_FORMATS_CTF_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "report/strings.h"

#define CTF_TEXTS 8
#define CTF_NUMBERS 6
/* In place of a text that is empty. */
#define CTF_UNKNOWN "-"

/* What an event has; names beyond the last are NULL. */
struct ctf_class {
	const char *name;
	const char *texts[CTF_TEXTS + 1], *numbers[CTF_NUMBERS + 1];
};

struct ctf_event {
	uint64_t ns; /* since the epoch */
	size_t order;
	const struct ctf_class *class;
	uint32_t texts[CTF_TEXTS]; /* ids of strings */
	int64_t numbers[CTF_NUMBERS];
};

struct ctf_trace {
	const struct ctf_class *classes;
	size_t class_count;
	const struct ctf_event *events; /* in the order of time */
	size_t event_count;
	const struct strings *strings;
};

/* Into the directory `path`, which must not exist. -1 with errno. */
int ctf_write(const struct ctf_trace *trace, const char *path);

#endif
