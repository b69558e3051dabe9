/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the trace library share. */
#ifndef TOOLS_TRACE_INTERNAL_H
#define TOOLS_TRACE_INTERNAL_H

#include "trace/reader.h"

struct table_text {
	bool known;
	char text[61];
};

/* Texts that were read: an id is looked up in the file once, and its pointer stays valid. */
struct text_table {
	struct table_text *texts;
	uint32_t count;
};

/* Slots that were read, twice each. */
struct window {
	unsigned char *first, *second;
	uint32_t start, count;
	uint32_t next;	 /* the slot that follows the one asked for last */
	uint32_t streak; /* how many were asked for that lie near to each other */
	uint64_t read_ns;
	uint64_t learned; /* of the trace, before it was read */
	bool final;	  /* nobody writes there any more */
};

/* Summaries that were read ahead, twice each. */
#define SUMMARIES_AHEAD 32u
struct summaries {
	struct tlstall_summary first[SUMMARIES_AHEAD], second[SUMMARIES_AHEAD];
	uint32_t start, count;
};

/* What is known of one process's life. */
struct life {
	struct tlstall_process entry;
	uint64_t entry_read; /* in which round, 0: never */
	bool entry_final;    /* it will not change any more */
	uint64_t checked_ns; /* when we looked for it last, CLOCK_MONOTONIC; 0: never */
	uint64_t starting_ns; /* when its entry was first found claimed only, CLOCK_MONOTONIC; 0: never */
	pid_t here;	     /* its id on this host, 0: it was never found */
	bool alive;	     /* then */
	bool over;	     /* dead, and `horizon` is final */
	uint64_t searched;   /* the round in which its signs of life were read, + 1; 0: none */
	uint64_t seen;	     /* ticks when it was seen alive last */
	uint64_t horizon;
};

struct trace {
	struct trace_source source;
	struct tlstall_header header;
	uint32_t present[TLSTALL_SECTION_MAX]; /* entries that are in the file */
	unsigned cut;				 /* sections with entries that are not */
	uint64_t torn;
	bool starved; /* no memory for a table of texts */
	struct text_table functions, states, strings;
	uint8_t kinds[256]; /* of `functions` */
	bool local;
	bool now_known;
	struct tlstall_clock_pair now;
	struct tlstall_clock_pair anchor; /* where ticks and wall time are tied together */
	double ns_per_tick;
	struct window window;
	struct summaries *summaries; /* NULL: none were asked for yet */
	uint64_t learned; /* how often events were read */
	uint64_t round;	  /* how often it was refreshed */
	bool all_over; /* see life_all_over() */
	struct life *lives;
	uint32_t life_count;
	struct tlstall_look *looks; /* by number of the handshake */
	uint32_t look_count;
	bool looks_read;
};

/* ---- source.c ---- */

/* What trace_open() takes; on error, `out` is unchanged. */
int source_of_path(const char *path, struct trace_source *out);
int source_of_bytes(const void *bytes, size_t size, struct trace_source *out);
/* Reads until `size` or the end of the source: bytes read, or TRACE_ERROR_IO. */
ssize_t source_read(const struct trace_source *source, void *buffer, size_t size, uint64_t offset);
/*
 * Reads a number of entries of one size; those that the file does not contain completely are
 * zeroed. Returns 0 or an error.
 */
int trace_read(const struct trace *trace, void *buffer, size_t count, size_t size, uint64_t offset);
/* The first `size` bytes of an entry; >0: the file does not have it. */
int trace_read_entry(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
		     void *buffer, size_t size);

/* The same, of a table whose entries have a commit mark; >0: it is not complete either. */
int trace_read_committed(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
			 void *buffer, size_t size);

/* ---- error.c ---- */

/* Remembers why a file was refused, for trace_strerror(); returns the error. */
int error_io(void);
int error_version(const struct tlstall_header *header);

/* ---- time.c ---- */

/* Settles how ticks are converted; to be called when a clock pair has changed. */
void time_settle(struct trace *trace);
uint64_t time_monotonic_ns(void);
bool time_same_boot(const struct tlstall_header *header);

/* ---- life.c ---- */

/* How many processes the file has entries for, used or not. */
uint32_t life_most(const struct trace *trace);
/* NULL: no such process, or no memory. Holds until another process is asked for. */
struct life *life_of(struct trace *trace, unsigned process);
/* What the file says of it now, whatever was read before; as trace_process() else. */
int life_read_entry(struct trace *trace, unsigned process, struct tlstall_process *out);
/* Nobody writes to the trace any more. */
bool life_all_over(struct trace *trace);

/* ---- looks.c ---- */

/* All that were kept: how many. */
uint32_t looks_read(struct trace *trace, const struct tlstall_look **looks);

/* ---- tame.c ---- */

/* After this, its counts and small numbers are safe as indexes, and its strings are terminated. */
void handshake_tame(struct tlstall_handshake *h);
/* After this, it converts to an integer; 0 if it was no number of ticks. */
float ticks_tame(float ticks);

/* ---- history.c ---- */

/* From the summary at that index of the ring; >0: none is there, or it is being replaced. */
int history_handshake(struct trace *trace, uint32_t index, struct tlstall_handshake *out);
/* The same if it is that of a certain handshake: it may have been read some time ago. */
int history_handshake_of(struct trace *trace, uint32_t index, uint32_t number,
			 struct tlstall_handshake *out);
/* The END of a summary, read at that position; false: it was taken back. */
bool history_event(const struct trace *trace, const struct tlstall_summary *summary,
		   uint64_t position, struct tlstall_event *out);

/* ---- cursor.c ---- */

/* A cursor over no more than the newest `most` of each ring. */
int cursor_open_newest(struct trace *trace, uint32_t most, struct trace_cursor **out);

/* ---- taming ---- */

/* Truncates a string to its field: the last byte becomes NUL. */
#define TERMINATE(array) ((array)[sizeof(array) - 1] = '\0')

#endif
