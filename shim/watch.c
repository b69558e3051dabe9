/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "attempt.h"
#include "clock.h"
#include "cpu.h"
#include "guard.h"
#include "mapping.h"
#include "nesting.h"
#include "observe.h"
#include "packed.h"
#include "recorder.h"
#include "settings.h"

/* ---- late ------------------------------------------------------------------------ */

/*
 * A gap is late when it exceeds USUAL times the recent average and the setting, or in any case
 * USUAL_MOST times the setting.
 */
#define USUAL 4
#define USUAL_MOST 25
/* A handshake of many short gaps is late as a whole after WHOLE times the time for one gap. */
#define WHOLE 10

/* Moving average of the longest gap of successful handshakes, in ticks. */
static uint64_t usual_gap;

/* As it was when a handshake began last: enough to tell that a call is not late. */
static uint64_t late_lately;

static uint64_t late_ticks(void)
{
	uint64_t least = clock_rough_ticks(settings.late_ms * 1000ull);
	uint64_t usual = USUAL * __atomic_load_n(&usual_gap, __ATOMIC_RELAXED);

	if (usual <= least)
		return least;
	return usual < USUAL_MOST * least ? usual : USUAL_MOST * least;
}

static bool is_late(const struct tlstall_handshake *slot, uint64_t since, uint64_t now)
{
	uint64_t late = late_ticks();

	return now - since > late || now - slot->start > WHOLE * late;
}

void watch_learn(const struct tlstall_handshake *slot)
{
	uint64_t usual = __atomic_load_n(&usual_gap, __ATOMIC_RELAXED);

	/* a stall says nothing about the distance to the peer */
	if (slot->longest_gap <= USUAL_MOST * late_ticks())
		__atomic_store_n(&usual_gap, usual - usual / 8 + slot->longest_gap / 8,
				 __ATOMIC_RELAXED);
}

/* ---- in flight --------------------------------------------------------------------- */

bool watch_begins(const struct track *track, uint64_t now)
{
	static uint32_t begun;
	uint32_t every = settings.sample;

	if (control->mode != TLSTALL_MODE_WATCH)
		return false;
	cpu_begin();
	__atomic_store_n(&late_lately, late_ticks(), __ATOMIC_RELAXED);
	/* late before it began */
	if (track->created && now - track->created > WHOLE * late_ticks())
		return false;
	return !every || (__atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED) % every) != 0;
}

/* The second call of a handshake or a later one, by a process and a thread that are known already. */
static inline bool goes_on(const struct call *call, const struct track *track,
			   const struct tlstall_handshake *slot)
{
	return __atomic_load_n(&mapping.usable, __ATOMIC_ACQUIRE) &&
	       track_phase(track) == PHASE_RUNNING && slot && !track_is_inside(track) &&
	       mapping_is_process(track->process) && guard_mask == GUARD_OPEN &&
	       mapping_thread.tid && mapping_thread.process == track->process &&
	       recorder_holds(slot, track->number) && watch_is_compact(slot) && slot->calls &&
	       libssl_kind(call->function) <= TLSTALL_KIND_DO_HANDSHAKE &&
	       !nesting_is_from_libssl(call) && !nesting_is_left(call) && !cpu_watched;
}

bool watch_enter_again(struct call *call)
{
	struct track *track = track_near(call->ssl);
	struct tlstall_handshake *slot;
	uint64_t late = __atomic_load_n(&late_lately, __ATOMIC_RELAXED), now;

	if (!track)
		return false;
	slot = track_slot(track);
	if (!goes_on(call, track, slot) || call->lib->SSL_get_state(call->ssl) == TLS_ST_BEFORE)
		return false;
	now = clock_ticks();
	if (now - slot->leave > late || now - slot->start > WHOLE * late)
		return false;
	call->track = track;
	call->slot = slot;
	call->ticks = now;
	call->quick = true;
	nesting_mark(call, mapping_thread.tid);
	handshake_enter_quick(slot, now, mapping_thread.tid, call->function);
	return true;
}

bool watch_enter(const struct call *call)
{
	struct tlstall_handshake *slot = call->slot;
	if (slot->calls && is_late(slot, slot->leave, call->ticks)) {
		attempt_promote(call->track, slot, slot->bytes_in, slot->bytes_out);
		return false;
	}
	if (cpu_is_watched())
		cpu_enter(call->ticks, true);
	/* ask the kernel once: without a first answer, no later one can show what has changed */
	if (!slot->calls && !observe_socket(call->track, slot, false, &slot->at_start))
		slot->at_start.ticks = 0;
	slot->flags &= ~TLSTALL_HS_INTERNAL;
	handshake_enter_quick(slot, call->ticks, mapping_tid(), call->function);
	return true;
}

/* ---- calls ------------------------------------------------------------------------- */

/*
 * Calls shorter than this, in microseconds, count as CPU time. For longer ones it is unknown
 * unless the CPU clock is being watched.
 */
#define SHORT_US 1000

static void add_cpu(const struct call *call, struct handshake_leave *in)
{
	if (in->ticks - call->ticks <= clock_rough_ticks(SHORT_US))
		in->cpu_ns = cpu_nanoseconds(in->ticks - call->ticks, in->ticks);
	else if (!cpu_between(call->ticks, in->ticks, &in->cpu_ns))
		call->slot->flags |= TLSTALL_HS_CPU_UNKNOWN;
}

static bool is_fatal(const struct handshake_leave *in)
{
	return !in->finished && in->error != TLSTALL_ERROR_NONE && !tlstall_is_retry(in->error);
}

/* Apart, so that the rest of a call's result need not be in memory. */
static __attribute__((noinline)) uint64_t pending(const struct track *track)
{
	struct handshake_leave in = {
		.error = TLSTALL_ERROR_WANT_READ, .pending_in = UINT32_MAX, .pending_out = UINT32_MAX};

	observe_pending(track, &in);
	return (uint64_t)in.pending_out << 32 | in.pending_in;
}

static inline void ask_pending(const struct track *track, struct handshake_leave *in)
{
	uint64_t both = pending(track);

	in->pending_in = (uint32_t)both;
	in->pending_out = (uint32_t)(both >> 32);
}

static void end_well(const struct call *call)
{
	struct tlstall_handshake *slot = call->slot;

	observe_end(call->track, call->ssl, slot);
	watch_learn(slot);
	mapping_keep_time(slot->end);
	attempt_end_ok(call->track);
}

/* It is done, or needs data over the BIO that it had before. */
static inline bool is_usual(const struct libssl *lib, const SSL *ssl, const struct track *track,
			    int ret, struct handshake_leave *in)
{
	BIO *bio = lib->SSL_get_rbio(ssl);

	in->finished = lib->SSL_is_init_finished(ssl);
	if (!bio || bio != track->rbio || bio != track->read_end || bio != track->wbio ||
	    bio != lib->SSL_get_wbio(ssl) || lib->BIO_next(bio) || in->finished != (ret > 0))
		return false;
	in->error = ret > 0 ? TLSTALL_ERROR_NONE : TLSTALL_ERROR_WANT_READ;
	in->bytes_in = lib->BIO_number_read(bio) - track->base_in;
	in->bytes_out = lib->BIO_number_written(bio) - track->base_out;
	return ret > 0 ||
	       (lib->SSL_want(ssl) == SSL_READING && lib->BIO_test_flags(bio, BIO_FLAGS_READ) &&
		(observe_clears_flags(track, bio) || !lib->ERR_peek_error()));
}

/* No other process has it, it is still what it was, and the call was short. */
static inline bool is_ours(const struct tlstall_handshake *slot, const struct track *track,
			   uint64_t duration)
{
	const uint32_t flags = TLSTALL_HS_LEFT | TLSTALL_HS_QUIC | TLSTALL_HS_COMPACT;

	return slot->number == track->number && (slot->flags & flags) == TLSTALL_HS_COMPACT &&
	       slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT && guard_mask == GUARD_OPEN &&
	       mapping_is_process(track->process) && duration <= clock_rough_ticks(SHORT_US);
}

bool watch_leave_again(const struct call *call, int ret, int error_number, uint64_t ticks)
{
	const struct libssl *lib = call->lib;
	const SSL *ssl = call->ssl;
	struct tlstall_handshake *slot = call->slot;
	struct track *track = call->track;
	uint64_t enter = call->ticks;
	struct handshake_leave in = {
		.ticks = ticks,
		.ret = ret,
		.pending_in = UINT32_MAX,
		.pending_out = UINT32_MAX,
		.function = call->function,
		.error_number = (uint8_t)error_number,
	};

	if (!is_ours(slot, track, ticks - enter) || call->function == FN_SSL_stateless ||
	    !is_usual(lib, ssl, track, ret, &in) || (int64_t)(in.bytes_in - slot->bytes_in) < 0 ||
	    (int64_t)(in.bytes_out - slot->bytes_out) < 0)
		return false;
	in.cpu_ns = cpu_nanoseconds(ticks - enter, ticks);
	in.state = observe_state(lib, ssl);
	if (!in.finished && tlstall_is_in_memory(&track->read))
		ask_pending(track, &in);
	call_note_op(call, ret, 0);
	packed_add(slot, enter, &in);
	handshake_take(slot, &in);
	slot->state = in.state;
	nesting_leave(call);
	if (in.finished) {
		handshake_end(slot, TLSTALL_OUTCOME_OK, ticks);
		end_well(call);
	}
	return true;
}

bool watch_leave(const struct call *call, struct handshake_leave *in)
{
	struct tlstall_handshake *slot = call->slot;

	if (is_fatal(in) || is_late(slot, call->ticks, in->ticks)) {
		attempt_promote(call->track, slot, in->bytes_in, in->bytes_out);
		add_cpu(call, in);
		return false;
	}
	packed_add(slot, call->ticks, in);
	if (in->ticks - call->ticks <= clock_rough_ticks(SHORT_US))
		in->cpu_ns = cpu_nanoseconds(in->ticks - call->ticks, in->ticks);
	else
		slot->flags |= TLSTALL_HS_CPU_UNKNOWN;
	if (handshake_leave(slot, in) != TLSTALL_OUTCOME_OK)
		return true;
	end_well(call);
	return true;
}
