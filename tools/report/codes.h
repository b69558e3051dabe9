/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the code: the stacks of all traces by their names, each distinct
 * one once. A name that one trace told is not looked up again for another.
 */
#ifndef TOOLS_REPORT_CODES_H
#define TOOLS_REPORT_CODES_H

#include <stddef.h>
#include <stdint.h>

#include "report/strings.h"
#include "symbols/symbols.h"
#include "trace/reader.h"

/* Texts are ids of the strings that code_reader_open() was given. */
struct code {
	uint32_t path;	  /* the program's innermost functions, "a < b < c" */
	uint32_t site;	  /* the innermost one; where it has no name, its module */
	uint32_t *frames; /* innermost first */
	uint32_t count;
};

struct codes {
	struct code *list; /* 0: no stack */
	uint32_t count, room;
	struct strings frame_keys; /* build id and address */
	struct frame_name *names;  /* of each of them */
	size_t name_room;
	struct strings stack_keys; /* frames of each of `list` */
};

/* One trace's stacks. */
struct code_reader {
	struct codes *codes;
	struct strings *texts;
	struct trace *trace;
	struct symbols *symbols; /* made when first needed */
	struct trace_modules modules;
	uint32_t *known; /* by stack id: index in codes.list + 1 */
	uint32_t known_count;
};

/* What memory does not suffice for has no names. */
void code_reader_open(struct code_reader *reader, struct codes *codes, struct strings *texts,
		      struct trace *trace);
void code_reader_close(struct code_reader *reader);
/* Index in codes.list of a trace's stack; 0 when there is none. */
uint32_t code_of(struct code_reader *reader, uint32_t stack);
uint32_t code_path(const struct code_reader *reader, uint32_t code);
uint32_t code_site(const struct code_reader *reader, uint32_t code);

void codes_free(struct codes *codes);

#endif
