/* SPDX-License-Identifier: Apache-2.0 */
/* The second half of a call: its result, and what that means for its handshake. */
#include <errno.h>

#include "attempt.h"
#include "call.h"
#include "clock.h"
#include "cpu.h"
#include "events.h"
#include "guard.h"
#include "handshake.h"
#include "nesting.h"
#include "observe.h"
#include "recorder.h"
#include "stack.h"
#include "watch.h"

/* The program took away the BIO that SSL_get_error would look into without a check. */
static bool lacks_bio(const struct libssl *lib, const SSL *ssl)
{
	int want = lib->SSL_want(ssl);

	if (want != SSL_READING && want != SSL_WRITING)
		return false;
	return !(want == SSL_READING ? lib->SSL_get_rbio(ssl) : lib->SSL_get_wbio(ssl));
}

static uint8_t error_of(const struct call *call, int ret, bool finished)
{
	if (ret > 0)
		return TLSTALL_ERROR_NONE;
	/* 0 is not an error: the peer's close_notify is still to come */
	if (libssl_kind(call->function) == TLSTALL_KIND_SHUTDOWN && ret == 0)
		return TLSTALL_ERROR_NONE;
	/* it has sent a cookie, which the next datagram may return */
	if (call->function == FN_SSL_stateless && ret == 0)
		return TLSTALL_ERROR_WANT_READ;
	if (!finished && call->slot &&
	    observe_wants_read(call->lib, call->ssl, call->track, call->slot))
		return TLSTALL_ERROR_WANT_READ;
	if (lacks_bio(call->lib, call->ssl) && !call->lib->ERR_peek_error())
		return TLSTALL_ERROR_SYSCALL;
	return (uint8_t)call->lib->real.SSL_get_error(call->ssl, ret);
}

static void look(const struct call *call, int ret, int error_number, uint64_t ticks,
		 struct handshake_leave *in)
{
	const struct libssl *lib = call->lib;

	in->ticks = ticks;
	in->cpu_ns = in->fatal_cpu_ns = in->bytes_in = in->bytes_out = 0;
	in->ret = ret;
	in->function = call->function;
	in->error_number = (uint8_t)error_number;
	in->finished = lib->SSL_is_init_finished(call->ssl);
	in->error = error_of(call, ret, in->finished);
	/* SSL_get_error reports a retry only if the queue is empty */
	in->ossl_error =
		ret > 0 || tlstall_is_retry(in->error) ? 0 : (uint32_t)lib->ERR_peek_error();
	in->state = tlstall_is_retry(in->error) || in->error == TLSTALL_ERROR_NONE
			    ? observe_state(lib, call->ssl)
			    : recorder_state(lib->SSL_state_string_long(call->ssl));
	in->pending_in = in->pending_out = UINT32_MAX;
}

static inline void note_op(const struct call *call, const struct handshake_leave *in)
{
	/* SSL_get_error applies only to functions that SSL_get_error(3) names */
	if (libssl_kind(call->function) == TLSTALL_KIND_OTHER)
		return;
	call_note_op(call, in->ret, in->ossl_error);
}

static void want_mismatch(const struct call *call, const struct handshake_leave *in)
{
	bool nothing_wrong = !in->error_number || in->error_number == EAGAIN;

	if (in->error == TLSTALL_ERROR_SYSCALL && !in->ossl_error && nothing_wrong &&
	    call->lib->SSL_want(call->ssl) != SSL_NOTHING)
		call->slot->flags |= TLSTALL_HS_WANT_MISMATCH;
}

static uint16_t reason_of(const struct call *call, uint32_t error)
{
	return recorder_string(call->lib->ERR_reason_error_string(error));
}

/* The first read after the handshake: in TLS 1.3 it delivers the peer's refusal. */
static void note_first_read(const struct call *call, struct tlstall_handshake *slot,
			    const struct handshake_leave *in)
{
	slot->first_read_ret = in->ret;
	slot->first_read_error = in->error;
	slot->flags |= TLSTALL_HS_FIRST_READ;
	if (in->error != TLSTALL_ERROR_SSL)
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
	if (!ok) {
		call->track->fatal_tid = mapping_tid();
		call->track->fatal_cpu = cpu_last();
	}
	if (!ok && !slot->stack_fail)
		slot->stack_fail = stack_take();
	/* one read may have finished the handshake and delivered data */
	if (ok && libssl_kind(call->function) == TLSTALL_KIND_READ)
		note_first_read(call, slot, in);
	event_end(slot, call->function);
	if (!ok)
		return;
	if (slot->flags & TLSTALL_HS_WATCHED)
		watch_learn(slot);
	attempt_end_ok(call->track);
}

static void leave_slot(const struct call *call, int ret, int error_number, uint64_t ticks)
{
	struct tlstall_handshake *slot = call->slot;
	struct handshake_leave in;
	uint8_t before = slot->outcome;

	look(call, ret, error_number, ticks, &in);
	if (call->function == FN_SSL_stateless)
		slot->flags = (slot->flags & ~TLSTALL_HS_LISTEN) |
			      (ret == 0 ? TLSTALL_HS_LISTEN : 0);
	observe_transport(call->track, call->ssl, slot, &in.bytes_in, &in.bytes_out);
	/* not needed for a handshake that ended well and quickly */
	if (!in.finished || !watch_is_compact(slot))
		observe_pending(call->track, &in);
	if (watch_is_compact(slot)) {
		note_op(call, &in);
		if (watch_leave(call, &in))
			return;
	} else {
		in.cpu_ns = cpu_used(call->ticks, ticks, call_may_block(slot));
	}
	if (before != TLSTALL_OUTCOME_FAILED)
		want_mismatch(call, &in);
	else if (call->track->fatal_tid == mapping_tid())
		in.fatal_cpu_ns = cpu_last() - call->track->fatal_cpu;
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
		slot->tid = call->track->ended_tid;
		if (watch_is_compact(slot) && in->error == TLSTALL_ERROR_SSL)
			attempt_promote(call->track, slot, slot->bytes_in, slot->bytes_out);
		note_first_read(call, slot, in);
		attempt_linger(call->track);
	}
	if (tlstall_is_retry(in->error))
		return;
	track_set_phase(call->track, PHASE_DONE);
	attempt_summarize(call->track);
}

/*
 * An op that drives no handshake is recorded in mode `all`, while a handshake is unfinished, and
 * as the first read after one.
 */
static void leave_other(struct call *call, int ret, int error_number, uint64_t ticks)
{
	struct track *track = call->track;
	enum tlstall_function_kind kind = libssl_kind(call->function);
	bool followed = track_phase(track) == PHASE_FOLLOWED && kind == TLSTALL_KIND_READ;
	bool wanted = control->mode == TLSTALL_MODE_ALL && !call_moves_data(call->function);
	struct handshake_leave in;

	if (!wanted && !followed && track_phase(track) != PHASE_RUNNING) {
		track->op_known = false;
		return;
	}
	look(call, ret, error_number, ticks, &in);
	note_op(call, &in);
	call->slot = track_slot(track);
	if (call->slot && call->slot->number != track->number)
		call->slot = NULL;
	if (control->mode != TLSTALL_MODE_WATCH || (call->slot && !watch_is_compact(call->slot)))
		event_call(call, &in, call->slot ? call->slot->retries : 0);
	/* its handshake got no slot, or lost it with the file */
	if (track_phase(track) == PHASE_RUNNING && !call->slot && in.finished)
		track_set_phase(track, PHASE_DONE);
	if (followed)
		leave_followed_read(call, &in);
	else if (track_phase(track) == PHASE_RUNNING && kind == TLSTALL_KIND_SHUTDOWN && call->slot)
		call->slot->flags |= TLSTALL_HS_SHUTDOWN;
}

/* Takes a handshake that began inside this op: a renegotiation. */
static void adopt(struct call *call)
{
	struct tlstall_handshake *slot = attempt_running(call->track);

	if (slot && slot->enter && libssl_drives(call->function))
		call->slot = slot;
}

static void leave_op(struct call *call, int ret, int error_number, uint64_t ticks)
{
	if (!call->slot)
		adopt(call);
	nesting_return(call);
	if (call->slot && call->slot->number == call->track->number)
		leave_slot(call, ret, error_number, ticks);
	else
		leave_other(call, ret, error_number, ticks);
	nesting_leave(call);
}

int call_leave(struct call *call, int ret)
{
	int saved = errno;
	uint64_t ticks = clock_ticks();

	if (call->quick && watch_leave_again(call, ret, saved, ticks)) {
		errno = saved;
		return ret;
	}
	guard_enter();
	if (call->track)
		leave_op(call, ret, saved, ticks);
	else
		event_foreign(call, ret, ticks);
	guard_leave();
	errno = saved;
	return ret;
}

void call_internal(struct track *track, const SSL *ssl, int ret)
{
	struct tlstall_handshake *slot = track_slot(track);
	struct call call = {
		.lib = track->lib,
		.ssl = ssl,
		.track = track,
		.slot = slot,
		.ticks = slot ? slot->enter : 0,
		.function = FN_INTERNAL,
	};

	if (slot)
		leave_slot(&call, ret, errno, clock_ticks());
}
