/* SPDX-License-Identifier: Apache-2.0 */
#include "watch.h"

#include "attempt.h"
#include "clock.h"
#include "cpu.h"
#include "mapping.h"
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
	/* late before it began */
	if (track->created && now - track->created > WHOLE * late_ticks())
		return false;
	return !every || (__atomic_add_fetch(&begun, 1, __ATOMIC_RELAXED) % every) != 0;
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
	observe_end(call->track, call->ssl, slot);
	watch_learn(slot);
	mapping_keep_time(slot->end);
	attempt_end_ok(call->track);
	return true;
}
