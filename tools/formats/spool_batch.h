/* SPDX-License-Identifier: Apache-2.0 */
/* What spool.c and spool_open.c share. */
#ifndef TOOLS_FORMATS_SPOOL_BATCH_H
#define TOOLS_FORMATS_SPOOL_BATCH_H

#include "formats/spool.h"

#define ROWS ".rows"
#define REFUSED ".refused"
#define SPOOL_NAME 32

struct batch {
	uint64_t number; /* of its file; 0: in memory */
	char *bytes;	 /* in memory, or while being sent */
	size_t size, room;
	unsigned items;
	uint64_t begun_ns;
	bool sealed;
	uint64_t turn;	   /* 0: it has not failed; else its place among those that have */
	uint64_t doubts;   /* those of the spool when it failed last */
	unsigned refusals; /* since then, by a server that was well */
};

struct spool {
	struct spool_options limits;
	int directory, file, clock; /* -1: none; `file`: of the last batch */
	struct batch *list;
	size_t count, room;
	size_t current; /* the batch that spool_first() gave */
	uint64_t turns;
	uint64_t doubts; /* how often the server may have been unwell */
	unsigned taken;	 /* batches since then */
	uint64_t next;			   /* number */
	uint64_t file_bytes, memory_bytes; /* including refused files */
	uint64_t noted_ns;
	bool full, failing; /* already reported */
};

/* NULL: no memory. */
struct batch *spool_add_batch(struct spool *spool, uint64_t number);

#endif
