/* SPDX-License-Identifier: Apache-2.0 */
/* The first half of a call: what is observed when it begins. */
#include "call.h"

#include <errno.h>
#include <netinet/tcp.h>

#include "attempt.h"
#include "clock.h"
#include "cpu.h"
#include "events.h"
#include "guard.h"
#include "handshake.h"
#include "hook.h"
#include "nesting.h"
#include "observe.h"
#include "recorder.h"
#include "stack.h"
#include "watch.h"

/* After a gap longer than this, in microseconds, the kernel is asked about the socket. */
#define LONG_GAP_US 2000

/* The SSL is back in its first state, although the handshake had got further: SSL_clear. */
static bool was_cleared(const struct call *call)
{
	const struct tlstall_handshake *slot = track_slot(call->track);
	const struct libssl *lib = call->lib;

	return slot && slot->number == call->track->number && slot->calls &&
	       lib->SSL_get_state(call->ssl) == TLS_ST_BEFORE &&
	       slot->state != recorder_state(lib->SSL_state_string_long(call->ssl));
}

/* A stream of a QUIC connection has no handshake of its own. */
static bool is_stream(const struct call *call)
{
	return call->lib->SSL_get0_connection &&
	       call->lib->SSL_get0_connection((SSL *)call->ssl) != call->ssl;
}

static enum tlstall_role role_by(uint8_t function)
{
	if (libssl_kind(function) == TLSTALL_KIND_CONNECT)
		return TLSTALL_ROLE_CLIENT;
	return libssl_kind(function) == TLSTALL_KIND_ACCEPT ? TLSTALL_ROLE_SERVER : TLSTALL_ROLE_UNKNOWN;
}

static __attribute__((noinline)) struct tlstall_handshake *slot_otherwise(const struct call *call)
{
	struct track *track = call->track;
	struct tlstall_handshake *slot;
	bool begun;

	attempt_forget_earlier(track);
	if (attempt_is_inherited(track))
		return attempt_inherit(track, call->ssl, call->ticks);
	if (track_phase(track) == PHASE_RUNNING && was_cleared(call))
		attempt_give_up(track, TLSTALL_HS_CLEARED, call->ticks);
	if (track_phase(track) == PHASE_RUNNING)
		return attempt_slot(track);
	if (call->lib->SSL_is_init_finished(call->ssl) || is_stream(call))
		return NULL;
	begun = call->lib->SSL_get_state(call->ssl) != TLS_ST_BEFORE;
	if (!begun)
		track->finished_number = 0;
	hook_ssl(call->lib, call->ssl);
	slot = attempt_begin(track, call->ssl, call->ticks, role_by(call->function),
			     !track->finished_number && watch_begins(track, call->ticks));
	if (slot && mapping.attached && begun && !track->finished_number)
		attempt_middle(track, slot);
	return slot;
}

/* Usually, the op continues the handshake that the last op left unfinished. */
static inline struct tlstall_handshake *slot_for(const struct call *call)
{
	const struct track *track = call->track;

	struct tlstall_handshake *slot = track_slot(track);

	if (track_phase(track) == PHASE_RUNNING && slot && !attempt_is_inherited(track) &&
	    recorder_holds(slot, track->number) &&
	    call->lib->SSL_get_state(call->ssl) != TLS_ST_BEFORE)
		return slot;
	return slot_otherwise(call);
}

/*
 * Until data is sent, the kernel counts from the creation of the connection. The SYN accounts for
 * one of the acknowledged bytes.
 */
static void note_connected(struct tlstall_handshake *slot)
{
	const struct tlstall_socket *s = &slot->at_start;

	if (s->ticks && s->tcp_state == TCP_ESTABLISHED && s->bytes_acked <= 1 && !s->unacked)
		slot->connected_ms = s->last_data_sent_ms;
}

static __attribute__((noinline)) void enter_slot(struct call *call)
{
	struct tlstall_handshake *slot = call->slot;
	struct tlstall_socket socket;
	uint64_t bytes[2];
	struct handshake_enter in = {
		.ticks = call->ticks,
		.tid = mapping_tid(),
		.stale_error = call->stale_error,
		.function = call->function,
		.ticks_per_ms = 1,
	};

	if (slot->calls && observe_transport(call->track, call->ssl, slot, &bytes[0], &bytes[1]))
		event_transport(call);
	if (slot->calls && slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT &&
	    call->ticks - slot->leave > clock_rough_ticks(LONG_GAP_US)) {
		in.ticks_per_ms = mapping_ticks_per_ms(call->ticks);
		if (observe_socket(call->track, slot, true, &socket))
			in.socket = &socket;
		in.gap_cpu_known = slot->tid == in.tid &&
				   cpu_since(slot->leave, call->ticks, &in.gap_cpu_ns);
	}
	if (!slot->calls) {
		slot->stack_first = stack_take();
		/* before the first op, which may be the one that hangs */
		if (!observe_socket(call->track, slot, false, &slot->at_start))
			slot->at_start.ticks = 0;
		note_connected(slot);
	}
	if (call->stale_error)
		event_queue(call);
	slot->flags &= ~TLSTALL_HS_INTERNAL;
	cpu_enter(call->ticks, call_may_block(slot));
	handshake_enter(slot, &in);
}

static void enter_followed_read(const struct call *call)
{
	struct tlstall_handshake *slot = attempt_slot(call->track);

	if (!slot)
		return;
	/* of a read that was left, the slot has the thread still */
	if (!slot->enter)
		call->track->ended_tid = slot->tid;
	slot->in_call_function = call->function;
	slot->tid = mapping_tid();
	slot->enter = call->ticks;
	attempt_linger(call->track);
}

/*
 * Mode `watch`: no event and no slot will say what was in the error queue before the call, which
 * costs 206 instructions to ask, if it comes after a compact handshake and cannot begin another one.
 */
static __attribute__((noinline)) bool queue_is_of_no_use(const struct call *call)
{
	const struct tlstall_handshake *slot = track_slot(call->track);

	return (!slot || watch_is_compact(slot)) &&
	       (!libssl_drives(call->function) || call->lib->SSL_version(call->ssl) == TLS1_3_VERSION);
}

static void enter_op(struct call *call)
{
	struct track *track = call->track;

	call->ticks = clock_ticks();
	if (libssl_drives(call->function))
		call->slot = slot_for(call);
	/* the error queue is not read here: SSL_get_error reports what it finds there */
	if (call->slot && watch_is_compact(call->slot) && watch_enter(call)) {
		call->quick = libssl_kind(call->function) <= TLSTALL_KIND_DO_HANDSHAKE;
		return;
	}
	if (call->slot || control->mode != TLSTALL_MODE_WATCH || !queue_is_of_no_use(call))
		call->stale_error = (uint32_t)call->lib->ERR_peek_error();
	if (call->slot)
		enter_slot(call);
	else if (track_phase(track) == PHASE_FOLLOWED && libssl_kind(call->function) == TLSTALL_KIND_READ)
		enter_followed_read(call);
	else if (call_moves_data(call->function) && track_phase(track) != PHASE_RUNNING)
		track_set_phase(track, PHASE_DONE);
}

static bool enter_foreign(struct call *call)
{
	/* a fast path for frequent reads and writes; the clock is chosen when the trace is made */
	if (libssl_kind(call->function) > TLSTALL_KIND_DO_HANDSHAKE || !mapping_open())
		return false;
	call->ticks = clock_ticks();
	return true;
}

/* Only a track that is found by its object's token may be used again. */
static inline bool is_held(const struct call *call)
{
	return __builtin_expect(!call->lib->program_memory, 1) ||
	       track_hold(call->track, call->lib, call->ssl, (uintptr_t)call);
}

bool call_enter(struct call *call)
{
	int saved;
	struct track *track;

	if (control->mode == TLSTALL_MODE_WATCH && watch_enter_again(call))
		return true;
	saved = errno;
	if (call->lib->foreign || !call->ssl)
		return enter_foreign(call);
	track = track_get(call->lib, call->ssl);
	if (track && call_moves_data(call->function) && call_is_over(track, call->function))
		return false;
	if (!mapping_open())
		return false;
	call->track = track ? track : track_make(call->lib, call->ssl);
	if (!call->track || nesting_is_nested(call) || !is_held(call)) {
		errno = saved;
		return false;
	}
	nesting_enter(call);
	guard_enter();
	enter_op(call);
	guard_leave();
	errno = saved;
	return true;
}
