/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How results are written: a row in formats.def and a file with one const entry. Records go out
 * in any of the formats of records, whichever command makes them; a report as a whole, too.
 */
#ifndef TOOLS_FORMATS_FORMAT_H
#define TOOLS_FORMATS_FORMAT_H

#include <stdio.h>

#include "report/gather.h"
#include "report/report.h"
#include "text/json_line.h"

struct command;

enum format_kind {
	FORMAT_WORDS = 1,   /* for people, each command's own */
	FORMAT_RECORDS = 2, /* those of view/record.h, one after the other */
	FORMAT_PAGE = 4,    /* a report alone */
	FORMAT_EXPORT = 8,  /* for other programs: tlstall export alone */
};

/* Where an export goes. */
struct export_target {
	FILE *out;
	const char *path;     /* as in -o */
	bool follows;	      /* programs that run */
	const char *spool;    /* directory for what cannot be sent yet, or NULL */
	uint64_t spool_bytes; /* so much waits there */
};

/* Options of a report that affect its appearance. */
struct format_options {
	unsigned details; /* of the worst handshakes, told at length */
};

struct format {
	const char *name;
	enum format_kind kind;

	/* FORMAT_RECORDS. `put` ends the record; one that is not whole is left out. */
	const struct format_records {
		void *(*begin)(FILE *out); /* NULL: out of memory */
		void (*put)(void *context, struct json_line *record);
		void (*end)(void *context);
	} *records;

	/* FORMAT_EXPORT: each handshake as it is read. */
	const struct format_export {
		bool calls;	 /* wants them */
		bool needs_path; /* makes its file itself: `out` is NULL, `path` a name */
		bool streams;	 /* rows, good without an end; `gathered` may have the subject alone */
		bool spools;
		/* Why it will not take this for a path, or NULL. Or NULL. */
		const char *(*objection)(const char *path);
		void *(*begin)(const struct export_target *target); /* NULL with errno */
		/* Since when handshakes are wanted of what is followed, since the epoch; 0: from
		   now on. Or NULL. */
		uint64_t (*since_ns)(void *context);
		/* `label`: of its trace. -1 with errno; it is not called again. */
		int (*handshake)(void *context, const struct gathered *gathered,
				 const char *label);
		/* Called a few times a second while programs are followed, or NULL. -1 with errno. */
		int (*tick)(void *context);
		/* `whole`: all went well. Frees the context. -1 with errno. */
		int (*end)(void *context, bool whole);
	} *export;

	/* The others; one of records is made of what it is given. */
	const struct format_report {
		/* Before traces are read: says what it wants of each handshake. Or NULL. */
		void *(*begin)(struct report *report, struct report_sink *sink);
		/* When all are read. -1 with errno; the caller finds write errors of `out`. */
		int (*write)(void *context, const struct report *report,
			     const struct format_options *options, FILE *out);
		void (*end)(void *context);
	} *report;
};

#define FORMAT(name) extern const struct format format_##name;
#include "formats/formats.def"
#undef FORMAT

/* The default. */
const struct format *format_words(void);
/* `--format TEXT`, of these kinds: 0, or the exit status after the error was explained. */
int format_parse(const struct command *command, unsigned kinds, const char *text,
		 const struct format **out);

/* A process that was looked at and its handshakes, to a format of records that has begun. */
struct looked;
struct symbols;
void format_put_looked(const struct format *format, void *records, const struct looked *looked,
		       struct symbols *symbols);

#endif
