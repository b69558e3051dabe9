/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>

#include "attempt.h"
#include "clock.h"
#include "cpu.h"
#include "elf.h"
#include "events.h"
#include "handshake.h"
#include "observe.h"
#include "recorder.h"
#include "stack.h"
#include "states.h"

/* A gap longer than this makes us ask the kernel about the socket, microseconds. */
#define LONG_GAP_US 2000

__thread const SSL *call_last_op;

static bool drives_handshake(uint8_t function)
{
	return libssl_kind(function) <= TLSTALL_KIND_DO_HANDSHAKE;
}

/* ---- nesting ------------------------------------------------------------------
 * SSL_connect calls SSL_do_handshake through its PLT, up to OpenSSL 3.5: one op.
 * Such a call returns into libssl, or by a tail call into us. One that a callback
 * of the program makes lies deeper on the same stack; a longjmp out of a callback
 * leaves our mark behind, and then the next op does not lie deeper. Only addresses
 * are compared, none is followed.
 */
static bool is_from_libssl(const struct call *call)
{
	return call->from - call->lib->start < call->lib->size || elf_is_own(call->from);
}

/* The TLS inside a QUIC connection: an object of libssl's own, on a BIO that goes nowhere. */
static bool is_inside_quic(const struct call *call)
{
	BIO *bio = call->lib->SSL_is_quic ? call->lib->SSL_get_rbio(call->ssl) : NULL;

	return bio && call->lib->BIO_method_type(bio) == BIO_TYPE_NULL;
}

static bool is_nested(const struct call *call)
{
	const struct track *track = call->track;

	if (is_from_libssl(call) && (track_is_inside(track) || is_inside_quic(call)))
		return true;
	return track_is_inside(track) && track->in_tid == mapping_tid() &&
	       (uintptr_t)call < track->in_frame;
}

static void go_inside(const struct call *call)
{
	call->track->in_tid = mapping_tid();
	call->track->in_function = call->function;
	call->track->in_frame = (uintptr_t)call;
}

static void come_out(const struct call *call)
{
	if (call->track->in_frame == (uintptr_t)call)
		call->track->in_frame = 0;
}

/* ---- entering ----------------------------------------------------------------- */

/* The SSL is back at the start although our handshake had got further: SSL_clear. */
static bool was_cleared(const struct call *call)
{
	const struct tlstall_handshake *slot = call->track->slot;
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

static struct tlstall_handshake *slot_for(const struct call *call)
{
	struct track *track = call->track;

	if (attempt_is_inherited(track))
		return attempt_inherit(track, call->ssl, call->ticks);
	if (track->phase == PHASE_RUNNING && was_cleared(call))
		attempt_give_up(track, TLSTALL_HS_CLEARED, call->ticks);
	if (track->phase == PHASE_RUNNING)
		return attempt_slot(track);
	if (call->lib->SSL_is_init_finished(call->ssl) || is_stream(call))
		return NULL;
	if (call->lib->SSL_get_state(call->ssl) == TLS_ST_BEFORE)
		track->finished_number = 0;
	states_hook_ssl(call->lib, call->ssl);
	return attempt_begin(track, call->ssl, call->ticks, role_by(call->function));
}

/* A call that waits for the peer, as far as we know. */
static bool may_block(const struct tlstall_handshake *slot)
{
	return slot->read.blocking && slot->read.bio_class != TLSTALL_BIO_MEMORY &&
	       slot->read.bio_class != TLSTALL_BIO_PAIR;
}

static void enter_slot(struct call *call)
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
	if (slot->calls && call->ticks - slot->leave > clock_rough_ticks(LONG_GAP_US)) {
		in.ticks_per_ms = mapping_ticks_per_ms(call->ticks);
		if (observe_socket(slot, true, &socket))
			in.socket = &socket;
	}
	if (!slot->calls) {
		slot->stack_first = stack_take();
		/* before the first op: it may be the one that hangs */
		if (!observe_socket(slot, false, &slot->at_start))
			slot->at_start.ticks = 0;
	}
	if (call->stale_error)
		event_queue(call);
	slot->flags &= ~TLSTALL_HS_INTERNAL;
	cpu_enter(call->ticks, may_block(slot));
	handshake_enter(slot, &in);
}

static void enter_followed_read(const struct call *call)
{
	struct tlstall_handshake *slot = attempt_slot(call->track);

	if (!slot)
		return;
	slot->in_call_function = call->function;
	slot->tid = mapping_tid();
	slot->enter = call->ticks;
	attempt_linger(call->track);
}

static void enter_op(struct call *call)
{
	struct track *track = call->track;

	call->ticks = clock_ticks();
	call->stale_error = (uint32_t)call->lib->ERR_peek_error();
	/* A shutdown does not drive a handshake: it breaks one off. */
	if (libssl_kind(call->function) != TLSTALL_KIND_SHUTDOWN)
		call->slot = slot_for(call);
	if (call->slot)
		enter_slot(call);
	else if (track->phase == PHASE_FOLLOWED && libssl_kind(call->function) == TLSTALL_KIND_READ)
		enter_followed_read(call);
	else if (call_moves_data(call->function) && track->phase != PHASE_RUNNING)
		track->phase = PHASE_DONE;
}

static bool enter_foreign(struct call *call)
{
	call->ticks = clock_ticks();
	return drives_handshake(call->function) && mapping_open();
}

bool call_enter(struct call *call)
{
	int saved = errno;
	struct track *track;

	if (call->lib->foreign || !call->ssl)
		return enter_foreign(call);
	track = track_get(call->lib, call->ssl);
	if (track && call_moves_data(call->function) && call_is_over(track, call->function))
		return false;
	if (!mapping_open())
		return false;
	call->track = track ? track : track_make(call->lib, call->ssl);
	if (!call->track || is_nested(call)) {
		errno = saved;
		return false;
	}
	go_inside(call);
	enter_op(call);
	errno = saved;
	return true;
}

/* ---- leaving ------------------------------------------------------------------ */

/* SSL_shutdown's 0 is no error: it says that the peer's close_notify is still to come. */
static uint8_t error_of(const struct call *call, int ret)
{
	if (libssl_kind(call->function) == TLSTALL_KIND_SHUTDOWN && ret == 0)
		return HS_NONE;
	return (uint8_t)call->lib->SSL_get_error(call->ssl, ret);
}

static struct handshake_leave look(const struct call *call, int ret, int error_number,
				   uint64_t ticks)
{
	const struct libssl *lib = call->lib;
	uint8_t error = error_of(call, ret);

	return (struct handshake_leave){
		.ticks = ticks,
		.ret = ret,
		.function = call->function,
		.error = error,
		.error_number = (uint8_t)error_number,
		.finished = lib->SSL_is_init_finished(call->ssl),
		/* SSL_get_error answers a retry with an empty queue only */
		.ossl_error =
			ret > 0 || handshake_is_retry(error) ? 0 : (uint32_t)lib->ERR_peek_error(),
		.state = handshake_is_retry(error) || error == HS_NONE
				 ? observe_state(lib, call->ssl)
				 : recorder_state(lib->SSL_state_string_long(call->ssl)),
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
	};
}

static void note_op(const struct call *call, const struct handshake_leave *in)
{
	struct track *track = call->track;

	track->op_tid = mapping_tid();
	track->op_ret = in->ret;
	track->op_error_head = in->ossl_error;
	track->op_known = true;
	call_last_op = call->ssl;
}

static void want_mismatch(const struct call *call, const struct handshake_leave *in)
{
	bool nothing_wrong = !in->error_number || in->error_number == EAGAIN;

	if (in->error == HS_SYSCALL && !in->ossl_error && nothing_wrong &&
	    call->lib->SSL_want(call->ssl) != SSL_NOTHING)
		call->slot->flags |= TLSTALL_HS_WANT_MISMATCH;
}

static uint16_t reason_of(const struct call *call, uint32_t error)
{
	return recorder_string(call->lib->ERR_reason_error_string(error));
}

/* The first read after the end: with TLS 1.3 it brings the peer's refusal. */
static void note_first_read(const struct call *call, struct tlstall_handshake *slot,
			    const struct handshake_leave *in)
{
	slot->first_read_ret = in->ret;
	slot->first_read_error = in->error;
	slot->flags |= TLSTALL_HS_FIRST_READ;
	if (in->error != HS_SSL)
		return;
	slot->ossl_error = in->ossl_error;
	slot->reason = reason_of(call, in->ossl_error);
}

static void end_slot(const struct call *call, const struct handshake_leave *in)
{
	struct tlstall_handshake *slot = call->slot;
	bool ok = slot->outcome == TLSTALL_OUTCOME_OK;

	observe_end(call->track, call->ssl, slot);
	if (!ok && slot->ossl_error)
		slot->reason = reason_of(call, slot->ossl_error);
	if (!ok && !slot->stack_fail)
		slot->stack_fail = stack_take();
	/* one read may have brought the handshake to its end and more */
	if (ok && libssl_kind(call->function) == TLSTALL_KIND_READ)
		note_first_read(call, slot, in);
	event_end(slot, call->function);
	if (ok)
		attempt_end_ok(call->track);
}

static void leave_slot(const struct call *call, int ret, int error_number, uint64_t ticks)
{
	struct tlstall_handshake *slot = call->slot;
	struct handshake_leave in = look(call, ret, error_number, ticks);
	uint8_t before = slot->outcome;

	in.cpu_ns = cpu_used(call->ticks, ticks, may_block(slot));
	observe_transport(call->track, call->ssl, slot, &in.bytes_in, &in.bytes_out);
	observe_pending(call->track, slot, &in.pending_in, &in.pending_out);
	if (before != TLSTALL_OUTCOME_FAILED)
		want_mismatch(call, &in);
	handshake_leave(slot, &in);
	note_op(call, &in);
	event_call(call, &in, slot->retries);
	if (slot->outcome != TLSTALL_OUTCOME_IN_FLIGHT && slot->outcome != before)
		end_slot(call, &in);
}

static void leave_followed_read(const struct call *call, const struct handshake_leave *in)
{
	struct tlstall_handshake *slot = attempt_slot(call->track);

	if (slot) {
		slot->enter = 0;
		note_first_read(call, slot, in);
		attempt_linger(call->track);
	}
	if (!handshake_is_retry(in->error))
		call->track->phase = PHASE_DONE;
}

/* An op that drives no handshake: recorded in mode "all", while one is unfinished, or followed. */
static void leave_other(struct call *call, int ret, int error_number, uint64_t ticks)
{
	struct track *track = call->track;
	enum tlstall_function_kind kind = libssl_kind(call->function);
	bool followed = track->phase == PHASE_FOLLOWED && kind == TLSTALL_KIND_READ;
	bool wanted = control->mode == TLSTALL_MODE_ALL && !call_moves_data(call->function);
	struct handshake_leave in;

	if (!wanted && !followed && track->phase != PHASE_RUNNING) {
		track->op_known = false;
		return;
	}
	in = look(call, ret, error_number, ticks);
	note_op(call, &in);
	call->slot = track->slot && track->slot->number == track->number ? track->slot : NULL;
	event_call(call, &in, call->slot ? call->slot->retries : 0);
	/* it had no slot, all being taken */
	if (!track->slot && in.finished)
		track->phase = PHASE_DONE;
	if (followed)
		leave_followed_read(call, &in);
	else if (track->phase == PHASE_RUNNING && kind == TLSTALL_KIND_SHUTDOWN && call->slot)
		call->slot->flags |= TLSTALL_HS_SHUTDOWN;
}

/* A handshake that began inside this op: a renegotiation. */
static void adopt(struct call *call)
{
	struct tlstall_handshake *slot =
		call->track->phase == PHASE_RUNNING ? attempt_slot(call->track) : NULL;

	if (slot && slot->enter && libssl_kind(call->function) != TLSTALL_KIND_SHUTDOWN)
		call->slot = slot;
}

int call_leave(struct call *call, int ret)
{
	int saved = errno;
	uint64_t ticks = clock_ticks();

	if (!call->track) {
		event_foreign(call, ret, ticks);
		errno = saved;
		return ret;
	}
	if (!call->slot)
		adopt(call);
	if (call->slot && call->slot->number == call->track->number)
		leave_slot(call, ret, saved, ticks);
	else
		leave_other(call, ret, saved, ticks);
	come_out(call);
	errno = saved;
	return ret;
}

void call_internal(struct track *track, const SSL *ssl, int ret)
{
	struct call call = {
		.lib = track->lib,
		.ssl = ssl,
		.track = track,
		.slot = track->slot,
		.ticks = track->slot->enter,
		.function = FN_INTERNAL,
	};

	leave_slot(&call, ret, errno, clock_ticks());
}
