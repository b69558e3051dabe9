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
	if (call->stale_error)
		flags |= TLSTALL_EV_STALE_QUEUE;
	if (finished)
		flags |= TLSTALL_EV_FINISHED;
	return flags;
}

/* The fields that all events share; the rest is zero. */
static inline __attribute__((always_inline)) struct recorder_place
begin(enum tlstall_event_type type, uint8_t function, uint64_t ticks, uint64_t ssl,
      struct tlstall_handshake *slot)
{
	struct recorder_place place = recorder_reserve(slot, type == TLSTALL_EVENT_END);
	struct tlstall_event *event = place.event;

	event->type = (uint8_t)type;
	event->function = function;
	event->state = event->error = 0;
	event->ticks = ticks;
	event->ssl = ssl;
	event->duration = 0;
	event->ret = 0;
	event->ossl_error = event->retry = 0;
	event->error_number = 0;
	event->flags = role_flag(slot);
	event->pending_in = event->pending_out = 0;
	return place;
}

void event_call(const struct call *call, const struct handshake_leave *in, uint32_t retry)
{
	struct recorder_place place = begin(TLSTALL_EVENT_CALL, call->function, call->ticks,
					    (uintptr_t)call->ssl, call->slot);
	struct tlstall_event *event = place.event;

	event->state = in->state;
	event->error = in->error;
	clock_store(&event->duration, in->ticks - call->ticks);
	event->ret = in->ret;
	event->ossl_error = in->ossl_error;
	event->retry = retry;
	event->error_number = in->error_number;
	event->flags = call_flags(call, in->finished);
	event->pending_in = in->pending_in;
	event->pending_out = in->pending_out;
	recorder_commit(place);
}

void event_foreign(const struct call *call, int ret, uint64_t ticks)
{
	struct recorder_place place =
		begin(TLSTALL_EVENT_CALL, call->function, call->ticks, (uintptr_t)call->ssl, NULL);
	struct tlstall_event *event = place.event;

	event->error = ret > 0 ? TLSTALL_ERROR_NONE : TLSTALL_ERROR_UNKNOWN;
	clock_store(&event->duration, ticks - call->ticks);
	event->ret = ret;
	event->flags = TLSTALL_EV_FOREIGN;
	event->pending_in = event->pending_out = UINT32_MAX;
	recorder_commit(place);
	__atomic_fetch_add(&mapping.header->lost.foreign_calls, 1, __ATOMIC_RELAXED);
}

void event_get_error(const SSL *ssl, struct tlstall_handshake *slot, int ret, int answer,
		     uint32_t misuse)
{
	struct recorder_place place = begin(TLSTALL_EVENT_GET_ERROR, FN_SSL_get_error,
					    clock_ticks(), (uintptr_t)ssl, slot);
	struct tlstall_event *event = place.event;

	event->error = (uint8_t)answer;
	event->ret = ret;
	if (slot) {
		event->retry = slot->retries;
		event->state = slot->state;
	}
	event->error_number = (uint8_t)errno;
	event->misuse = misuse;
	recorder_commit(place);
}

void event_queue(const struct call *call)
{
	struct recorder_place place = begin(TLSTALL_EVENT_QUEUE, call->function, call->ticks,
					    (uintptr_t)call->ssl, call->slot);

	place.event->ossl_error = call->stale_error;
	recorder_commit(place);
}

void event_transport(const struct call *call)
{
	struct recorder_place place = begin(TLSTALL_EVENT_TRANSPORT, call->function, call->ticks,
					    (uintptr_t)call->ssl, call->slot);

	place.event->fd = call->track->read.fd;
	place.event->bio_name = call->track->read.name;
	recorder_commit(place);
}

void event_packed(struct tlstall_handshake *slot, uint64_t word, uint64_t enter, uint32_t retry)
{
	struct recorder_place place = begin(TLSTALL_EVENT_CALL, TLSTALL_PACK_FUNCTION(word), enter,
					    slot->ssl, slot);
	struct tlstall_event *event = place.event;

	event->state = TLSTALL_PACK_STATE(word);
	event->error = TLSTALL_PACK_ERROR(word);
	clock_store(&event->duration, TLSTALL_PACK_DURATION(word));
	event->ret = TLSTALL_PACK_RET(word);
	event->retry = retry;
	event->tid = slot->tid;
	if (TLSTALL_PACK_FINISHED(word))
		event->flags |= TLSTALL_EV_FINISHED;
	event->pending_in = event->pending_out = UINT32_MAX;
	recorder_commit(place);
}

#define LATE_MS 1000

static bool is_bad(const struct tlstall_handshake *slot)
{
	uint64_t took = slot->end - slot->start;

	return slot->outcome != TLSTALL_OUTCOME_OK ||
	       (took > clock_rough_ticks(100000) &&
		took > LATE_MS * mapping_ticks_per_ms(slot->end));
}

void event_end(struct tlstall_handshake *slot, uint8_t function)
{
	struct recorder_place place =
		begin(TLSTALL_EVENT_END, function, slot->start, slot->ssl, slot);
	struct tlstall_event *event = place.event;

	event->state = slot->state;
	event->error = slot->last_error;
	clock_store(&event->duration, slot->end - slot->start);
	event->ret = slot->outcome;
	event->ossl_error = slot->ossl_error;
	event->retry = slot->retries;
	event->start_low = (uint32_t)slot->start_realtime_ns;
	event->start_high = (uint32_t)(slot->start_realtime_ns >> 32);
	recorder_commit(place);
	if (is_bad(slot))
		__atomic_fetch_add(&mapping.header->bad_handshakes, 1, __ATOMIC_RELAXED);
	mapping_keep_time(slot->end);
}
