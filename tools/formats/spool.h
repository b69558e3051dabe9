/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What waits to be sent, in batches, the oldest first: in memory, or each in a file of a directory,
 * written at once, so that it outlives the process. What no file takes (the disk is full) waits in
 * memory. How much waits has a bound.
 */
#ifndef TOOLS_FORMATS_SPOOL_H
#define TOOLS_FORMATS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spool;

struct spool_options {
	const char *directory; /* NULL: in memory */
	const char *what;      /* waits: "handshakes" */
	uint64_t bytes;	       /* so much waits, at most */
	/* When a batch is complete: by what is in it, or so long after its first item. */
	size_t batch_bytes;
	unsigned batch_items;
	uint64_t batch_ns;
};

struct spool_batch {
	const void *bytes; /* until it is taken or refused */
	size_t size;
	unsigned items;
};

/*
 * NULL with errno, EWOULDBLOCK: another process uses the directory, which is made if need be. What
 * lies in it is sent first. In a file each item must end with the only newline in it.
 */
struct spool *spool_open(const struct spool_options *options);
/* -1: there is no room, or no memory; what goes wrong is said when it begins. */
int spool_add(struct spool *spool, const void *item, size_t size);
/* The oldest, if it is complete or `now`; nothing is added to it any more. */
bool spool_first(struct spool *spool, bool now, struct spool_batch *out);
void spool_taken(struct spool *spool);
/* A file is kept, under another name. */
void spool_refused(struct spool *spool);
/* Bytes that wait. */
uint64_t spool_waiting(const struct spool *spool);
/* Items that would be lost if the process ended now. */
uint64_t spool_at_risk(const struct spool *spool);
/* Everything up to now was added; and when that was so last, since the epoch, 0: never. */
void spool_note_time(struct spool *spool);
uint64_t spool_noted_ns(const struct spool *spool);
void spool_close(struct spool *spool);

#endif
