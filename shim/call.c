/* SPDX-License-Identifier: Apache-2.0 */
#include "call.h"

#include <errno.h>
#include <string.h>

#include "clock.h"
#include "handshake.h"
#include "observe.h"
#include "recorder.h"
#include "stack.h"
#include "states.h"

/* A gap longer than this makes us ask the kernel about the socket, microseconds. */
#define LONG_GAP_US 2000
/* A call longer than this is worth a look at the thread's CPU time. */
#define LONG_CALL_US 20

static const uint8_t kinds[FN_COUNT] = {
#define INTERPOSED(name, kind, need) [FN_##name] = TLSTALL_KIND_##kind,
#include "functions.def"
	[FN_INTERNAL] = TLSTALL_KIND_INTERNAL,
};

static bool drives_handshake(uint8_t function)
{
	return kinds[function] <= TLSTALL_KIND_DO_HANDSHAKE;
}

/* ---- nesting ----------------------------------------------------------------
 * The calls this thread is inside of. A longjmp out of a callback leaves
 * entries behind: those lie below the caller's frame and are dropped. Only
 * addresses are compared, none is followed.
 */
#define DEPTH 8
static __thread struct {
	unsigned depth;
	struct {
		uintptr_t frame;
		const SSL *ssl;
	} entry[DEPTH];
} inside;

static __thread uint32_t thread_handshakes;
static __thread const SSL *last_op;

static bool push(const struct call *call)
{
	uintptr_t frame = call->frame;

	while (inside.depth && inside.entry[inside.depth - 1].frame <= frame)
		inside.depth--;
	for (unsigned i = 0; i < inside.depth; i++) {
		if (inside.entry[i].ssl == call->ssl)
			return false;
	}
	if (inside.depth < DEPTH) {
		inside.entry[inside.depth].frame = frame;
		inside.entry[inside.depth++].ssl = call->ssl;
	}
	return true;
}

static void pop(const struct call *call)
{
	while (inside.depth && inside.entry[inside.depth - 1].frame <= call->frame)
		inside.depth--;
}

static bool is_inside(const SSL *ssl)
{
	for (unsigned i = 0; i < inside.depth; i++) {
		if (inside.entry[i].ssl == ssl)
			return true;
	}
	return false;
}

/* ---- events ----------------------------------------------------------------- */

static uint8_t role_flag(const struct tlstall_handshake *slot)
{
	if (!slot || slot->role == TLSTALL_ROLE_UNKNOWN)
		return 0;
	return slot->role == TLSTALL_ROLE_SERVER ? TLSTALL_EV_SERVER : TLSTALL_EV_CLIENT;
}

static void record_end(struct tlstall_handshake *slot, uint8_t function)
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

static void record_queue(const struct call *call)
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

static void record_transport(const struct call *call)
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

/* ---- a handshake's begin and end --------------------------------------------- */

static struct tlstall_handshake *live_slot(struct track *track)
{
	if (!track->slot || !recorder_retake(track->slot, track->number))
		return NULL;
	return track->slot;
}

static void forget(struct track *track, enum tlstall_slot_status status)
{
	if (track->slot && track->slot->number == track->number)
		recorder_release(track->slot, status);
	if (status == TLSTALL_SLOT_DONE)
		track->slot = NULL;
}

static void give_up(struct track *track, uint32_t flag, uint64_t ticks)
{
	struct tlstall_handshake *slot = track->phase == PHASE_RUNNING ? live_slot(track) : NULL;

	if (slot) {
		slot->flags |= flag;
		if (handshake_give_up(slot, ticks))
			record_end(slot, slot->last_function);
	}
	forget(track, TLSTALL_SLOT_DONE);
	track->phase = PHASE_NEW;
}

static struct tlstall_handshake *begin(struct track *track, const SSL *ssl, uint64_t ticks)
{
	struct tlstall_handshake *slot;
	uint64_t before = track->finished_number;

	if (track->slot)
		forget(track, TLSTALL_SLOT_DONE);
	slot = recorder_claim(ticks);
	track->slot = slot;
	track->phase = PHASE_RUNNING;
	track->process = mapping_identity()->process;
	if (!slot)
		return NULL;
	track->number = slot->number;
	slot->ssl = (uintptr_t)ssl;
	slot->created = track->created;
	slot->libssl = track->lib->id;
	slot->thread_handshakes = thread_handshakes;
	slot->leave = 0;
	if (before) {
		slot->parent = before;
		slot->flags |= TLSTALL_HS_RENEGOTIATION;
	}
	recorder_libssl(track->lib->id, track->lib->start, track->lib->size,
			(uint32_t)track->lib->OpenSSL_version_num(), track->lib->OpenSSL_version(0));
	observe_start(track, ssl, slot);
	observe_transport(track, ssl, slot);
	observe_descriptor(slot);
	observe_bytes(track, &track->base_in, &track->base_out);
	slot->state = recorder_state(track->lib->SSL_state_string_long(ssl));
	return slot;
}

/* A forked child goes on with a copy of its own; the parent's stays as it was. */
static struct tlstall_handshake *inherit(struct track *track, const SSL *ssl, uint64_t ticks)
{
	uint64_t parent = track->number, in = track->base_in, out = track->base_out;
	struct tlstall_handshake *slot;

	track->slot = NULL;
	slot = begin(track, ssl, ticks);
	track->base_in = in;
	track->base_out = out;
	if (slot) {
		slot->flags |= TLSTALL_HS_INHERITED;
		slot->parent = parent;
	}
	return slot;
}

static void end_ok(struct track *track)
{
	track->finished_number = track->number;
	track->phase = PHASE_FOLLOWED;
	thread_handshakes++;
	forget(track, TLSTALL_SLOT_LINGER);
}

/* ---- entering ----------------------------------------------------------------- */

/* The SSL is back at the start although our handshake went on: SSL_clear. */
static bool was_cleared(const struct call *call)
{
	const struct tlstall_handshake *slot = call->track->slot;

	return slot && slot->number == call->track->number && slot->calls && slot->state_count &&
	       call->lib->SSL_get_state(call->ssl) == TLS_ST_BEFORE;
}

static struct tlstall_handshake *slot_for(struct call *call)
{
	struct track *track = call->track;

	if (track->phase == PHASE_RUNNING && track->process != mapping_identity()->process)
		return inherit(track, call->ssl, call->ticks);
	if (track->phase == PHASE_RUNNING && was_cleared(call))
		give_up(track, TLSTALL_HS_CLEARED, call->ticks);
	if (track->phase == PHASE_RUNNING)
		return live_slot(track);
	if (call->lib->SSL_is_init_finished(call->ssl))
		return NULL;
	if (call->lib->SSL_get_state(call->ssl) == TLS_ST_BEFORE)
		track->finished_number = 0;
	states_hook_ssl(call->lib, call->ssl);
	return begin(track, call->ssl, call->ticks);
}

/* Reads and writes of a finished handshake: a look at the phase and no more. */
static bool is_over(const struct call *call, const struct track *track)
{
	uint8_t kind = kinds[call->function];

	if (!track || kind < TLSTALL_KIND_READ || kind > TLSTALL_KIND_WRITE)
		return false;
	return track->phase == PHASE_DONE ||
	       (track->phase == PHASE_FOLLOWED && kind == TLSTALL_KIND_WRITE);
}

static void read_cpu(struct call *call, const struct tlstall_handshake *slot)
{
	uint64_t since = slot->leave ? call->ticks - slot->leave : UINT64_MAX;

	/* calls in quick succession that cannot block share one look at the clock */
	call->cpu_known = slot->read.blocking != 0 || since > clock_rough_ticks(1000);
	if (call->cpu_known)
		call->cpu_ns = clock_cpu_ns();
}

static void enter_slot(struct call *call)
{
	struct tlstall_handshake *slot = call->slot;
	struct tlstall_socket socket;
	struct handshake_enter in = {
		.ticks = call->ticks,
		.tid = mapping_tid(),
		.stale_error = call->stale_error,
		.function = call->function,
		.ticks_per_ms = 1,
	};

	if (slot->calls && observe_transport(call->track, call->ssl, slot)) {
		observe_descriptor(slot);
		record_transport(call);
	}
	if (slot->calls && call->ticks - slot->leave > clock_rough_ticks(LONG_GAP_US)) {
		in.ticks_per_ms = mapping_ticks_per_ms();
		if (observe_socket(slot, true, &socket))
			in.socket = &socket;
	}
	if (!slot->calls)
		slot->stack_first = stack_take();
	if (call->stale_error)
		record_queue(call);
	read_cpu(call, slot);
	handshake_enter(slot, &in);
}

static void enter_followed_read(struct call *call)
{
	struct tlstall_handshake *slot = live_slot(call->track);

	if (!slot)
		return;
	slot->in_call_function = call->function;
	slot->tid = mapping_tid();
	slot->enter = call->ticks;
	forget(call->track, TLSTALL_SLOT_LINGER);
}

void call_begin(struct call *call)
{
	int saved = errno;
	struct track *track;

	if (call->lib->foreign) {
		call->active = drives_handshake(call->function) && mapping_open();
		call->ticks = clock_ticks();
		return;
	}
	track = track_get(call->lib, call->ssl);
	if (is_over(call, track))
		return;
	if (!mapping_open() || !push(call)) {
		errno = saved;
		return;
	}
	if (!track)
		track = track_make(call->lib, call->ssl);
	call->track = track;
	call->active = track;
	if (!track)
		return;
	call->ticks = clock_ticks();
	call->stale_error = (uint32_t)call->lib->ERR_peek_error();
	call->slot = slot_for(call);
	if (call->slot)
		enter_slot(call);
	else if (track->phase == PHASE_FOLLOWED && kinds[call->function] == TLSTALL_KIND_READ)
		enter_followed_read(call);
	else if (kinds[call->function] >= TLSTALL_KIND_READ &&
		 kinds[call->function] <= TLSTALL_KIND_WRITE && track->phase != PHASE_RUNNING)
		track->phase = PHASE_DONE;
	errno = saved;
}

/* ---- leaving ------------------------------------------------------------------ */

static uint64_t cpu_used(const struct call *call, uint64_t ticks)
{
	uint64_t duration = ticks - call->ticks;

	/* short and unable to block: it was on the CPU */
	if (!call->cpu_known || duration < clock_rough_ticks(LONG_CALL_US))
		return UINT64_MAX;
	return clock_cpu_ns() - call->cpu_ns;
}

static uint64_t ticks_to_ns(uint64_t ticks)
{
	return ticks * 1000000 / mapping_ticks_per_ms();
}

static void fill_leave(const struct call *call, int ret, struct handshake_leave *in)
{
	const struct libssl *lib = call->lib;

	in->ret = ret;
	in->function = call->function;
	in->error = (uint8_t)lib->SSL_get_error(call->ssl, ret);
	in->finished = lib->SSL_is_init_finished(call->ssl);
	in->ossl_error = ret > 0 ? 0 : (uint32_t)lib->ERR_peek_error();
	in->state = recorder_state(lib->SSL_state_string_long(call->ssl));
	observe_pending(call->track, call->slot, &in->pending_in, &in->pending_out);
	observe_bytes(call->track, &in->bytes_in, &in->bytes_out);
	in->bytes_in -= call->track->base_in;
	in->bytes_out -= call->track->base_out;
}

static uint8_t event_flags(const struct call *call, bool finished)
{
	const struct tlstall_handshake *slot = call->slot;
	uint8_t flags = role_flag(slot);

	if (slot && slot->read.blocking < 2)
		flags |= TLSTALL_EV_BLOCKING_KNOWN | (slot->read.blocking ? TLSTALL_EV_BLOCKING : 0);
	if (slot && (slot->flags & TLSTALL_HS_OVERLAP))
		flags |= TLSTALL_EV_OVERLAP;
	if (call->stale_error)
		flags |= TLSTALL_EV_STALE_QUEUE;
	if (finished)
		flags |= TLSTALL_EV_FINISHED;
	return flags;
}

static void record_call(const struct call *call, const struct handshake_leave *in, uint32_t retry)
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
		.flags = event_flags(call, in->finished),
	};

	event.pending_in = in->pending_in;
	event.pending_out = in->pending_out;
	recorder_event(&event, call->slot);
}

static void note_op(const struct call *call, const struct handshake_leave *in)
{
	struct track *track = call->track;

	track->op_tid = mapping_tid();
	track->op_ret = in->ret;
	track->op_error_head = in->ossl_error;
	track->op_known = true;
	last_op = call->ssl;
}

static void want_mismatch(const struct call *call, const struct handshake_leave *in)
{
	if (in->error == HS_SYSCALL && !in->ossl_error && !in->error_number &&
	    call->lib->SSL_want(call->ssl) != SSL_NOTHING)
		call->slot->flags |= TLSTALL_HS_WANT_MISMATCH;
}

static void leave_slot(struct call *call, int ret, int error_number, uint64_t ticks)
{
	struct tlstall_handshake *slot = call->slot;
	struct handshake_leave in = {.ticks = ticks, .error_number = (uint8_t)error_number};
	bool was_first = !slot->calls, was_over = slot->outcome == TLSTALL_OUTCOME_OK;
	uint64_t cpu = cpu_used(call, ticks);
	enum tlstall_outcome outcome;

	in.cpu_ns = cpu == UINT64_MAX ? ticks_to_ns(ticks - call->ticks) : cpu;
	fill_leave(call, ret, &in);
	want_mismatch(call, &in);
	outcome = handshake_leave(slot, &in);
	if (was_first && !observe_socket(slot, false, &slot->at_start))
		slot->at_start.ticks = 0;
	if (kinds[call->function] == TLSTALL_KIND_SHUTDOWN)
		slot->flags |= TLSTALL_HS_SHUTDOWN;
	note_op(call, &in);
	if (outcome == TLSTALL_OUTCOME_FAILED)
		slot->stack_fail = stack_take();
	record_call(call, &in, slot->retries);
	if (outcome == TLSTALL_OUTCOME_IN_FLIGHT || was_over)
		return;
	if (!observe_socket(slot, outcome == TLSTALL_OUTCOME_FAILED, &slot->at_end))
		slot->at_end.ticks = 0;
	if (!slot->peer.family)
		observe_descriptor(slot);
	observe_end(call->track, call->ssl, slot);
	record_end(slot, call->function);
	if (outcome == TLSTALL_OUTCOME_OK)
		end_ok(call->track);
}

static void leave_followed_read(struct call *call, const struct handshake_leave *in)
{
	struct tlstall_handshake *slot = live_slot(call->track);

	if (slot) {
		slot->enter = 0;
		slot->first_read_ret = in->ret;
		slot->first_read_error = in->error;
		slot->flags |= TLSTALL_HS_FIRST_READ;
		if (in->error == HS_SSL) {
			slot->ossl_error = in->ossl_error;
			slot->reason = recorder_string(
				call->lib->ERR_reason_error_string(in->ossl_error));
		}
		forget(call->track, TLSTALL_SLOT_LINGER);
	}
	if (!handshake_is_retry(in->error))
		call->track->phase = PHASE_DONE;
}

/* An op on a finished handshake: recorded as a call, in mode "all" or while it is followed. */
static void leave_finished(struct call *call, int ret, int error_number, uint64_t ticks)
{
	uint8_t kind = kinds[call->function];
	bool followed = call->track->phase == PHASE_FOLLOWED && kind == TLSTALL_KIND_READ;
	struct handshake_leave in = {
		.ticks = ticks,
		.ret = ret,
		.error = (uint8_t)call->lib->SSL_get_error(call->ssl, ret),
		.error_number = (uint8_t)error_number,
		.finished = call->lib->SSL_is_init_finished(call->ssl),
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
	};
	bool pass = kind >= TLSTALL_KIND_READ && kind <= TLSTALL_KIND_WRITE && !followed;

	if (pass || (!followed && control->mode != TLSTALL_MODE_ALL)) {
		call->track->op_known = false;
		return;
	}
	in.ossl_error = ret > 0 ? 0 : (uint32_t)call->lib->ERR_peek_error();
	in.state = recorder_state(call->lib->SSL_state_string_long(call->ssl));
	note_op(call, &in);
	call->slot = call->track->slot;
	if (call->slot && call->slot->number != call->track->number)
		call->slot = NULL;
	record_call(call, &in, call->slot ? call->slot->retries : 0);
	if (followed)
		leave_followed_read(call, &in);
}

static void leave_foreign(const struct call *call, int ret, uint64_t ticks)
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

void call_end(struct call *call, int ret)
{
	int saved = errno;
	uint64_t ticks = clock_ticks();

	if (call->lib->foreign)
		leave_foreign(call, ret, ticks);
	else if (call->slot)
		leave_slot(call, ret, saved, ticks);
	else
		leave_finished(call, ret, saved, ticks);
	pop(call);
	errno = saved;
}

/* ---- SSL_get_error ------------------------------------------------------------ */

static uint32_t misuse(const struct libssl *lib, const SSL *ssl, const struct track *track, int ret,
		       int answer)
{
	uint32_t bits = 0;

	if (!track || !track->op_known)
		return 0;
	if (ret != track->op_ret)
		bits |= TLSTALL_MISUSE_RET;
	if (mapping_tid() != track->op_tid)
		bits |= TLSTALL_MISUSE_THREAD;
	else if (last_op != ssl)
		bits |= TLSTALL_MISUSE_OTHER;
	if ((answer == HS_SSL || answer == HS_SYSCALL) &&
	    (uint32_t)lib->ERR_peek_error() != track->op_error_head)
		bits |= TLSTALL_MISUSE_QUEUE;
	return bits;
}

void call_get_error(const struct libssl *lib, const SSL *ssl, int ret, int answer)
{
	struct track *track = lib->foreign ? NULL : track_get(lib, ssl);
	struct tlstall_handshake *slot = NULL;
	struct tlstall_event event;
	int saved = errno;

	if (!track || !mapping.header || is_inside(ssl))
		return;
	if (track->slot && track->slot->number == track->number)
		slot = track->slot;
	event = (struct tlstall_event){
		.type = TLSTALL_EVENT_GET_ERROR,
		.function = FN_SSL_get_error,
		.error = (uint8_t)answer,
		.ticks = clock_ticks(),
		.ssl = (uintptr_t)ssl,
		.ret = ret,
		.retry = slot ? slot->retries : 0,
		.state = slot ? slot->state : 0,
		.error_number = (uint8_t)saved,
		.flags = role_flag(slot),
	};
	event.misuse = misuse(lib, ssl, track, ret, answer);
	if (slot && slot->status == TLSTALL_SLOT_LIVE) {
		slot->get_errors++;
		slot->misuse |= event.misuse;
	}
	recorder_event(&event, slot);
	errno = saved;
}

/* ---- from the info callback, and at SSL_free ------------------------------------ */

/* Renegotiation, or a handshake that no op of ours drives (BIO_f_ssl). */
static void on_start(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_make(lib, ssl);
	bool post_handshake = lib->SSL_version(ssl) == TLS1_3_VERSION;
	struct tlstall_handshake *slot;

	if (!track || track->phase == PHASE_RUNNING ||
	    (post_handshake && track->phase != PHASE_NEW))
		return;
	if (is_inside(ssl) && track->phase == PHASE_NEW)
		return;
	slot = begin(track, ssl, clock_ticks());
	if (slot)
		slot->flags |= TLSTALL_HS_INTERNAL;
}

static void on_done(const SSL *ssl, struct track *track)
{
	struct tlstall_handshake *slot;

	/* an op will see it at its return */
	if (track->phase != PHASE_RUNNING || is_inside(ssl))
		return;
	slot = live_slot(track);
	if (!slot)
		return;
	slot->leave = clock_ticks();
	handshake_end(slot, TLSTALL_OUTCOME_OK, slot->leave);
	observe_bytes(track, &slot->bytes_in, &slot->bytes_out);
	observe_end(track, ssl, slot);
	record_end(slot, FN_INTERNAL);
	end_ok(track);
}

void call_info(const struct libssl *lib, const SSL *ssl, int where, int ret)
{
	struct track *track;
	struct tlstall_handshake *slot;

	if (where & SSL_CB_HANDSHAKE_START)
		on_start(lib, ssl);
	track = track_get(lib, ssl);
	if (!track)
		return;
	if (where & SSL_CB_HANDSHAKE_DONE)
		on_done(ssl, track);
	if (!(where & (SSL_CB_LOOP | SSL_CB_ALERT)))
		return;
	/* the alert for a refused client certificate comes in the first read */
	slot = track->phase == PHASE_RUNNING || (where & SSL_CB_ALERT) ? live_slot(track) : NULL;
	if (!slot)
		return;
	if (where & SSL_CB_ALERT)
		handshake_alert(slot, where & SSL_CB_READ, (uint8_t)(ret >> 8), (uint8_t)ret,
				clock_ticks(), mapping_ticks_per_ms());
	else if (slot->outcome != TLSTALL_OUTCOME_OK)
		handshake_state(slot, recorder_state(lib->SSL_state_string_long(ssl)),
				clock_ticks());
	if (track->phase != PHASE_RUNNING)
		forget(track, TLSTALL_SLOT_LINGER);
}

void call_freed(struct track *track)
{
	struct tlstall_handshake *slot;
	uint64_t ticks;

	if (!mapping.header || track->process != mapping_identity()->process)
		return;
	slot = live_slot(track);
	if (!slot)
		return;
	ticks = clock_ticks();
	slot->freed = ticks;
	slot->flags |= TLSTALL_HS_FREED;
	if (handshake_give_up(slot, ticks))
		record_end(slot, slot->last_function);
	forget(track, TLSTALL_SLOT_DONE);
}
