/* SPDX-License-Identifier: Apache-2.0 */
/* Items in batches on their way to a server by HTTP: they wait in a spool until it takes them. */
#ifndef TOOLS_FORMATS_SENDER_H
#define TOOLS_FORMATS_SENDER_H

#include "formats/http_post.h"
#include "formats/spool.h"

struct sender;

struct sender_options {
	struct http_target target;
	struct spool_options spool;
	bool pack; /* with gzip */
	/* Whoever adds waits for room, and for the end longer; else what finds no room is dropped. */
	bool patient;
};

/* NULL with errno. */
struct sender *sender_open(const struct sender_options *options);
void sender_header(struct sender *sender, const char *text);
/* -1 with errno: the server takes nothing. */
int sender_add(struct sender *sender, const void *item, size_t size);
/* Sends what is due, without waiting. All until now was added. */
void sender_tick(struct sender *sender);
/* The time of the last tick of an earlier run with this spool, since the epoch, 0: none. */
uint64_t sender_noted_ns(const struct sender *sender);
/*
 * Sends all that is left, for some time, if `whole`. -1 with errno: some were not taken; what is in
 * files counts only if it is patient. Frees it.
 */
int sender_close(struct sender *sender, bool whole);

#endif
