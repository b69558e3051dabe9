/* SPDX-License-Identifier: Apache-2.0 */
/* The events of trace.h, made from a call and its handshake. */
#ifndef SHIM_EVENTS_H
#define SHIM_EVENTS_H

#include "call.h"
#include "handshake.h"

void event_call(const struct call *call, const struct handshake_leave *in, uint32_t retry);
/* A call on an object of an unknown libssl. */
void event_foreign(const struct call *call, int ret, uint64_t ticks);
/* SSL_get_error answered; misuse is TLSTALL_MISUSE_*. */
void event_get_error(const SSL *ssl, struct tlstall_handshake *slot, int ret, int answer,
		     uint32_t misuse);
/* The next op began with a non-empty error queue. */
void event_queue(const struct call *call);
/* The SSL has new BIOs. */
void event_transport(const struct call *call);
/* A packed call that began at that time, as the `retry`th after the handshake's first. */
void event_packed(struct tlstall_handshake *slot, uint64_t word, uint64_t enter, uint32_t retry);
void event_end(struct tlstall_handshake *slot, uint8_t function);

#endif
