/* SPDX-License-Identifier: Apache-2.0 */
/* Sends items to an HTTP server in batches, which wait in a spool until they are accepted. */
#ifndef TOOLS_FORMATS_SENDER_H
#define TOOLS_FORMATS_SENDER_H

#include "formats/http_post.h"
#include "formats/spool.h"

struct sender;

struct sender_options {
	struct http_target target;
	struct spool_options spool;
	bool pack; /* with gzip */
	/*
	 * sender_add() waits for room, and the end takes longer. Otherwise, items without room are
	 * dropped.
	 */
	bool patient;
};

/* NULL with errno. */
struct sender *sender_open(const struct sender_options *options);
/* Of every request; -1 with errno. */
int sender_header(struct sender *sender, const char *name, const char *value);
/* -1 with errno: the server accepts nothing. */
int sender_add(struct sender *sender, const void *item, size_t size);
/* Sends what is due, without waiting. Everything up to now has been added. */
void sender_tick(struct sender *sender);
/* The time of the last tick of an earlier run with this spool, since the epoch, 0: none. */
uint64_t sender_noted_ns(const struct sender *sender);
/*
 * Sends what is left, for a limited time, if `whole`. -1 with errno: some items were not accepted;
 * items in files count only if it is patient. Frees the sender.
 */
int sender_close(struct sender *sender, bool whole);

#endif
