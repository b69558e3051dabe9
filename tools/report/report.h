/* SPDX-License-Identifier: Apache-2.0 */
/* What a report knows: a compact row for each handshake of all traces, and texts by number. */
#ifndef TOOLS_REPORT_REPORT_H
#define TOOLS_REPORT_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "diagnosis/diagnosis.h"
#include "report/codes.h"
#include "report/strings.h"

#define ROW_RESUMED 1u
#define ROW_TROUBLED 2u	   /* failed, abandoned, hangs or took long */
#define ROW_OVERWRITTEN 4u /* only its END event is left in the trace */

struct report_row {
	uint64_t start_ns; /* since the epoch */
	uint64_t duration_ns;
	uint64_t number; /* within its trace */
	uint32_t source; /* index in report.sources */
	uint32_t slot;	 /* within its trace, TLSTALL_NO_SLOT: none */
	uint32_t peer, cipher;
	uint32_t code; /* index in report.codes.list */
	uint32_t path; /* that of `code`, or why there is none */
	uint32_t site; /* the innermost of the program's own, which tells groups apart */
	uint32_t retries;
	struct neighborhood others;
	uint16_t version;
	uint8_t outcome; /* enum tlstall_outcome */
	uint8_t cause, fault, confidence;
	uint8_t flags; /* ROW_* */
};

struct report_source {
	char *path;
	char *label; /* as the person wrote it, and the name within a directory */
};

/* What is no longer in the traces. */
struct report_lost {
	uint64_t handshakes; /* have left nothing */
	uint64_t details;    /* of these only the end is kept */
	uint64_t crowded;    /* began when all slots were in flight; they may have got one later */
};

struct report {
	struct report_row *rows;
	size_t count, room;
	struct report_source *sources; /* those that could be read */
	size_t source_count;
	struct strings strings; /* valid UTF-8, each */
	struct strings hosts;
	struct strings notes; /* sentences on what is missing */
	struct codes codes;
	struct report_lost lost;
	uint64_t bytes; /* that the sources take on the disk */
};

void report_free(struct report *report);
/* NULL: out of memory. */
struct report_row *report_add(struct report *report);
/* Index of the new source, -1: out of memory. */
int report_add_source(struct report *report, const char *path, const char *label);
/* Adds to the notes. */
void report_note(struct report *report, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* When the first handshake began, ns since the epoch; `last`: and the last one. 0 without rows. */
uint64_t report_span(const struct report *report, uint64_t *last);

#endif
