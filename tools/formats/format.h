/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Output formats: a row in formats.def and a file with one const entry each. Every command that
 * makes records, and the report, can write them in any format of records.
 */
#ifndef TOOLS_FORMATS_FORMAT_H
#define TOOLS_FORMATS_FORMAT_H

#include <stdio.h>

#include "report/gather.h"
#include "report/report.h"
#include "text/json_line.h"

struct command;

enum format_kind {
	FORMAT_WORDS = 1,   /* text for people, made by each command */
	FORMAT_RECORDS = 2, /* the records of view/record.h, one by one */
	FORMAT_PAGE = 4,    /* only for tlstall report */
	FORMAT_EXPORT = 8,  /* for other programs: only for tlstall export */
};

/* Where an export goes. */
struct export_target {
	FILE *out;
	const char *path;     /* as in -o */
	bool follows;	      /* with --follow */
	const char *spool;    /* directory for what cannot be sent yet, or NULL */
	uint64_t spool_bytes; /* how much may wait there */
};

/* Options of a report that affect its appearance. */
struct format_options {
	unsigned details; /* of how many of the worst handshakes */
};

struct format {
	const char *name;
	enum format_kind kind;

	/* FORMAT_RECORDS. `put` ends the record, and omits one that is incomplete. */
	const struct format_records {
		void *(*begin)(FILE *out); /* NULL: out of memory */
		void (*put)(void *context, struct json_line *record);
		/* Frees the context. -1: out of memory, of which it may have run out before. */
		int (*end)(void *context);
	} *records;

	/* FORMAT_EXPORT: each handshake as it is read. */
	const struct format_export {
		bool calls;	 /* needs the calls of each handshake */
		bool needs_path; /* creates the file itself: `out` is NULL, and `path` its name */
		bool streams; /* readable without an end; `gathered` may contain only the subject */
		bool spools;
		/* Optional: why `path` is not accepted, or NULL. */
		const char *(*objection)(const char *path);
		void *(*begin)(const struct export_target *target); /* NULL with errno */
		/* Optional: the time, since the epoch, from which ended handshakes are wanted when
		   following; 0: now. */
		uint64_t (*since_ns)(void *context);
		/* `label`: the trace's. Not called again after it returns -1 with errno. */
		int (*handshake)(void *context, const struct gathered *gathered,
				 const char *label);
		/* Optional: called a few times a second when following. -1 with errno. */
		int (*tick)(void *context);
		/* `whole`: without an error so far. Frees the context. -1 with errno. */
		int (*end)(void *context, bool whole);
	} *export;

	/* FORMAT_WORDS and FORMAT_PAGE. */
	const struct format_report {
		/* Optional: called before traces are read, to say what each handshake needs. */
		void *(*begin)(struct report *report, struct report_sink *sink);
		/* Called when all are read. -1 with errno; the caller checks `out` for errors. */
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
/* Parses `--format TEXT`: 0, or the exit status if it is none of these kinds, which is reported. */
int format_parse(const struct command *command, unsigned kinds, const char *text,
		 const struct format **out);

/* Writes a process found by a look, and its handshakes, in a format of records that has begun. */
struct looked;
struct symbols;
void format_put_looked(const struct format *format, void *records, const struct looked *looked,
		       struct symbols *symbols);

#endif
