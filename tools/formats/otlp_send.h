/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches of spans on their way to a collector by HTTP: one at a time, each again and again until
 * it is taken. How much waits has a bound.
 */
#ifndef TOOLS_FORMATS_OTLP_SEND_H
#define TOOLS_FORMATS_OTLP_SEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct otlp_sender;

/* NULL with errno; EINVAL: no URL of http or https. */
struct otlp_sender *otlp_sender_open(const char *url);
/*
 * Adds a serialized request with one span; requests that follow each other are one. `wait`: until
 * there is room, else the span is dropped. -1 with errno: the collector does not take it.
 */
int otlp_sender_add(struct otlp_sender *sender, const void *bytes, size_t size, bool wait);
/* Sends what is due, without waiting. */
int otlp_sender_tick(struct otlp_sender *sender);
/* Sends all that is left, for so long at most; -1 with errno: not all of it. Frees it. */
int otlp_sender_close(struct otlp_sender *sender, uint64_t patience_ns);

#endif
