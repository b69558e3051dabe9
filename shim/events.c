/* SPDX-License-Identifier: Apache-2.0 */
#include "events.h"

#include <errno.h>

#include "clock.h"
#include "recorder.h"

static uint8_t role_flag(const struct tlstall_handshake *slot)
{
	if (!slot || slot->role == TLSTALL_ROLE_UNKNOWN)
		return 0;
	return slot->role == TLSTALL_ROLE_SERVER ? TLSTALL_EV_SERVER : TLSTALL_EV_CLIENT;
}

static uint8_t call_flags(const struct call *call, bool finished)
{
	const struct tlstall_handshake *slot = call->slot;
	uint8_t flags = role_flag(slot);

	if (slot && slot->read.blocking < 2)
		flags |=
			TLSTALL_EV_BLOCKING_KNOWN | (slot->read.blocking ? TLSTALL_EV_BLOCKING : 0);
	if (slot && (slot->flags & TLSTALL_HS_OVERLAP))
		flags |= TLSTALL_EV_OVERLAP;
	if (call->stale_error)
		flags |= TLSTALL_EV_STALE_QUEUE;
	if (finished)
		flags |= TLSTALL_EV_FINISHED;
	return flags;
}

void event_call(const struct call *call, const struct handshake_leave *in, uint32_t retry)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_CALL,
		.function = call->function,
		.state = in->state,
		.error = in->error,
		.ticks = call->ticks,
		.ssl = (uintptr_t)call->ssl,
		.duration = (float)(in->ticks - call->ticks),
		.ret = in->ret,
		.ossl_error = in->ossl_error,
		.retry = retry,
		.error_number = in->error_number,
		.flags = call_flags(call, in->finished),
	};

	event.pending_in = in->pending_in;
	event.pending_out = in->pending_out;
	recorder_event(&event, call->slot);
}

void event_foreign(const struct call *call, int ret, uint64_t ticks)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_CALL,
		.function = call->function,
		.error = ret > 0 ? HS_NONE : UINT8_MAX,
		.ticks = call->ticks,
		.ssl = (uintptr_t)call->ssl,
		.duration = (float)(ticks - call->ticks),
		.ret = ret,
		.flags = TLSTALL_EV_FOREIGN,
	};

	event.pending_in = event.pending_out = UINT32_MAX;
	__atomic_fetch_add(&mapping.header->lost.foreign_calls, 1, __ATOMIC_RELAXED);
	recorder_event(&event, NULL);
}

void event_get_error(const SSL *ssl, struct tlstall_handshake *slot, int ret, int answer,
		     uint32_t misuse)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_GET_ERROR,
		.function = FN_SSL_get_error,
		.error = (uint8_t)answer,
		.ticks = clock_ticks(),
		.ssl = (uintptr_t)ssl,
		.ret = ret,
		.retry = slot ? slot->retries : 0,
		.state = slot ? slot->state : 0,
		.error_number = (uint8_t)errno,
		.flags = role_flag(slot),
	};

	event.misuse = misuse;
	recorder_event(&event, slot);
}

void event_queue(const struct call *call)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_QUEUE,
		.function = call->function,
		.ticks = call->ticks,
		.ssl = (uintptr_t)call->ssl,
		.ossl_error = call->stale_error,
		.flags = role_flag(call->slot),
	};

	recorder_event(&event, call->slot);
}

void event_transport(const struct call *call)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_TRANSPORT,
		.function = call->function,
		.ticks = call->ticks,
		.ssl = (uintptr_t)call->ssl,
		.flags = role_flag(call->slot),
	};

	event.fd = call->slot->read.fd;
	event.bio_name = call->slot->read.name;
	recorder_event(&event, call->slot);
}

void event_end(struct tlstall_handshake *slot, uint8_t function)
{
	struct tlstall_event event = {
		.type = TLSTALL_EVENT_END,
		.function = function,
		.state = slot->state,
		.error = slot->last_error,
		.ticks = slot->start,
		.ssl = slot->ssl,
		.duration = (float)(slot->end - slot->start),
		.ret = slot->outcome,
		.ossl_error = slot->ossl_error,
		.retry = slot->retries,
		.flags = role_flag(slot),
	};

	recorder_event(&event, slot);
	mapping_keep_time(slot->end);
}
