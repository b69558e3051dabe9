/* SPDX-License-Identifier: Apache-2.0 */
/* The events of trace.h, made from what a call and its handshake know. */
#ifndef SHIM_EVENTS_H
#define SHIM_EVENTS_H

#include "call.h"
#include "handshake.h"

void event_call(const struct call *call, const struct handshake_leave *in, uint32_t retry);
/* A call on an object of no libssl that we understand. */
void event_foreign(const struct call *call, int ret, uint64_t ticks);
/* SSL_get_error answered; misuse is TLSTALL_MISUSE_*. */
void event_get_error(const SSL *ssl, struct tlstall_handshake *slot, int ret, int answer,
		     uint32_t misuse);
/* The op that follows began with a filled error queue. */
void event_queue(const struct call *call);
/* The SSL has other BIOs than before. */
void event_transport(const struct call *call);
void event_end(struct tlstall_handshake *slot, uint8_t function);

#endif
