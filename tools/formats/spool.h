/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data waiting to be sent, in batches, oldest first; those that failed, last. Batches are in memory, or each in a file of a
 * directory, which is written at once so that it outlives the process. What does not fit in files
 * (the disk is full) waits in memory. The amount is bounded.
 */
#ifndef TOOLS_FORMATS_SPOOL_H
#define TOOLS_FORMATS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

struct spool_options {
	const char *directory; /* NULL: in memory */
	const char *what;      /* the items: "handshakes" */
	uint64_t bytes;	       /* at most this much waits */
	/* A batch is complete at this size, or this long after its first item. */
	size_t batch_bytes;
	unsigned batch_items;
	uint64_t batch_ns;
};

struct spool_batch {
	const void *bytes; /* valid until taken, failed or refused */
	size_t size;
	unsigned items;
};

/*
 * NULL with errno; EWOULDBLOCK: another process uses the directory. The directory is created if
 * necessary, and what is in it is sent first. In a file, each item must end with its only newline.
 */
struct spool *spool_open(const struct spool_options *options);
/* -1: no room, or no memory. Reports a problem when it begins. */
int spool_add(struct spool *spool, const void *item, size_t size);
/* The first batch if it is complete, or if `now`; nothing is added to it any more. */
bool spool_first(struct spool *spool, bool now, struct spool_batch *out);
/* What became of that batch. */
void spool_taken(struct spool *spool);
/*
 * Because of the batch or because of the server, which cannot be told from the answer. True: of the
 * batch, as the server took SPOOL_OTHERS others, all at the first try, and then refused this one
 * SPOOL_REFUSALS times. A server that is unwell, or too busy, fails with others as well.
 */
bool spool_failed(struct spool *spool);
#define SPOOL_OTHERS 3
#define SPOOL_REFUSALS 3
/* Keeps the file under another name, which it writes; false: it was in memory. */
bool spool_refused(struct spool *spool, char *where, size_t size);
/* Bytes waiting, and how many of them are in files. */
uint64_t spool_waiting(const struct spool *spool);
uint64_t spool_kept(const struct spool *spool);
/* Items that would be lost if the process ended now. */
uint64_t spool_at_risk(const struct spool *spool);
/*
 * Notes that everything up to now has been added; and when that was last noted, since the epoch, 0:
 * never.
 */
void spool_note_time(struct spool *spool);
uint64_t spool_noted_ns(const struct spool *spool);
void spool_close(struct spool *spool);

#endif
