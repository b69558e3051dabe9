/* SPDX-License-Identifier: Apache-2.0 */
#include "attempt.h"

#include <errno.h>

#include "adopt.h"
#include "clock.h"
#include "cpu.h"
#include "events.h"
#include "guard.h"
#include "handshake.h"
#include "mapping.h"
#include "observe.h"
#include "packed.h"
#include "recorder.h"
#include "stack.h"
#include "summary.h"

static __thread uint32_t thread_handshakes;

struct tlstall_handshake *attempt_slot(struct track *track)
{
	struct tlstall_handshake *slot = track_slot(track);

	if (!slot || track->process != mapping_identity()->process || !recorder_retake(slot, track->number))
		return NULL;
	return slot;
}

void attempt_linger(struct track *track)
{
	struct tlstall_handshake *slot = track_slot(track);

	if (slot)
		recorder_release(slot, track->number, TLSTALL_SLOT_LINGER);
}

static void done(struct track *track)
{
	struct tlstall_handshake *slot = track_slot(track);

	if (slot && track->process == mapping_identity()->process)
		recorder_release(slot, track->number, TLSTALL_SLOT_DONE);
	track_set_slot(track, NULL);
}

/* The first time in this file. */
static void note_libssl(const struct libssl *lib)
{
	observe_forget(lib);
	recorder_libssl(lib->id, lib->start, lib->size, (uint32_t)lib->OpenSSL_version_num(),
			lib->OpenSSL_version(0));
}

static void follows(struct tlstall_handshake *slot, uint64_t number, uint32_t flag)
{
	slot->parent = number;
	slot->flags |= flag;
}

/* ---- objects that other processes use, too ------------------------------------------ */

/*
 * The hint left on such an object names its handshake in the file, and is checked against the slot:
 * the slot's index plus 1, and the lower half of the handshake's number.
 */
static void *hint_of(const struct tlstall_handshake *slot)
{
	uint64_t index = (uint64_t)(slot - mapping.handshakes);

	return (void *)(uintptr_t)(index < mapping.slot_count
					   ? (index + 1) << 32 | (uint32_t)slot->number
					   : 0);
}

/* The unfinished handshake that another process began on this object, or NULL. */
static struct tlstall_handshake *slot_elsewhere(const SSL *ssl, const void *hint)
{
	uint64_t index = ((uintptr_t)hint >> 32) - 1;
	struct tlstall_handshake *slot;

	if (index >= mapping.slot_count)
		return NULL;
	slot = &mapping.handshakes[index];
	return slot->ssl == (uintptr_t)ssl && recorder_holds(slot, slot->number) &&
			       (uint32_t)slot->number == (uint32_t)(uintptr_t)hint &&
			       slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT &&
			       slot->process != mapping_identity()->process
		       ? slot
		       : NULL;
}

static void freed_elsewhere(const SSL *ssl, const void *hint)
{
	struct tlstall_handshake *slot = slot_elsewhere(ssl, hint);

	if (!slot)
		return;
	slot->freed = clock_ticks();
	slot->flags |= TLSTALL_HS_FREED;
	if (handshake_give_up(slot, slot->freed))
		event_end(slot, slot->last_function);
	recorder_release(slot, slot->number, TLSTALL_SLOT_DONE);
}

void attempt_freed_elsewhere(const SSL *ssl, const void *hint)
{
	if (!mapping.header)
		return;
	guard_enter();
	freed_elsewhere(ssl, hint);
	guard_leave();
}

static void take_over(struct track *track, const SSL *ssl, struct tlstall_handshake *slot)
{
	const struct libssl *lib = track->lib;
	const struct tlstall_handshake *before =
		slot_elsewhere(ssl, lib->SSL_get_ex_data(ssl, lib->hint_index));

	if (before)
		follows(slot, before->number, TLSTALL_HS_INHERITED);
	lib->SSL_set_ex_data((SSL *)ssl, lib->hint_index, hint_of(slot));
}

/* The remembered text applies only in this state: an object that failed before shows another. */
static uint8_t first_state(const struct libssl *lib, const SSL *ssl)
{
	uint8_t known = __atomic_load_n(&lib->state_ids[TLS_ST_BEFORE], __ATOMIC_RELAXED);

	return known && lib->SSL_get_state(ssl) == TLS_ST_BEFORE
		       ? known
		       : recorder_state(lib->SSL_state_string_long(ssl));
}

struct tlstall_handshake *attempt_begin(struct track *track, const SSL *ssl, uint64_t ticks,
					enum tlstall_role role, bool compact)
{
	struct tlstall_handshake *slot;

	done(track);
	slot = recorder_claim(ticks);
	track_set_slot(track, slot);
	track_set_phase(track, PHASE_RUNNING);
	track->process = mapping_identity()->process;
	if (!slot)
		return NULL;
	track->number = slot->number;
	slot->ssl = (uintptr_t)ssl;
	slot->created = track->created;
	track->created = 0; /* says nothing about a second handshake on the same object */
	slot->libssl = track->lib->id;
	slot->thread_handshakes = thread_handshakes;
	if (track->finished_number)
		follows(slot, track->finished_number, TLSTALL_HS_RENEGOTIATION);
	if (track->lib->program_memory)
		take_over(track, ssl, slot);
	if (!recorder_knows_libssl(track->lib->id, track->lib->start))
		note_libssl(track->lib);
	slot->role = (uint8_t)role;
	if (compact)
		slot->flags |= TLSTALL_HS_COMPACT;
	observe_start(track, ssl, slot);
	slot->state = first_state(track->lib, ssl);
	return slot;
}

void attempt_middle(struct track *track, struct tlstall_handshake *slot)
{
	slot->flags |= TLSTALL_HS_MIDDLE;
	/* most transports were created for their handshake */
	slot->bytes_in += track->base_in;
	slot->bytes_out += track->base_out;
	track->base_in = track->base_out = 0;
	adopt_tell(slot);
}

struct tlstall_handshake *attempt_inherit(struct track *track, const SSL *ssl, uint64_t ticks)
{
	uint64_t parent = track->number, in = track->base_in, out = track->base_out;
	struct tlstall_handshake *slot = track_slot(track);
	enum tlstall_role role = slot ? slot->role : TLSTALL_ROLE_UNKNOWN;

	slot = attempt_begin(track, ssl, ticks, role, false);

	track->base_in = in;
	track->base_out = out;
	if (slot)
		follows(slot, parent, TLSTALL_HS_INHERITED);
	return slot;
}

static void write_calls(struct tlstall_handshake *slot)
{
	slot->flags = (slot->flags & ~TLSTALL_HS_COMPACT) | TLSTALL_HS_WATCHED;
	packed_write(slot);
}

void attempt_promote(struct track *track, struct tlstall_handshake *slot, uint64_t in,
		     uint64_t out)
{
	write_calls(slot);
	observe_descriptor(track, slot);
	observe_backwards(track, slot, in, out);
	if (!slot->stack_first)
		slot->stack_first = stack_take();
	cpu_watch();
}

void attempt_end_ok(struct track *track)
{
	track->finished_number = track->number;
	track_set_phase(track, PHASE_FOLLOWED);
	thread_handshakes++;
	attempt_linger(track);
}

void attempt_summarize(struct track *track)
{
	struct tlstall_handshake *slot = attempt_slot(track);

	if (!slot)
		return;
	if (!summary_is_enough(slot)) {
		attempt_linger(track);
		return;
	}
	summary_write(slot);
	track_set_slot(track, NULL);
	recorder_give_back(slot);
}

void attempt_give_up(struct track *track, uint32_t flag, uint64_t ticks)
{
	struct tlstall_handshake *slot = attempt_slot(track);

	if (slot) {
		slot->flags |= flag;
		if (slot->flags & TLSTALL_HS_COMPACT && slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT)
			write_calls(slot);
		if (handshake_give_up(slot, ticks))
			event_end(slot, slot->last_function);
	}
	done(track);
	track_set_phase(track, PHASE_NEW);
}

/* Records what the socket and the thread did at the end of a handshake freed unfinished. */
static void left_behind(const struct track *track, struct tlstall_handshake *slot, uint64_t ticks)
{
	observe_left_behind(track, slot);
	if (!slot->enter && slot->calls && slot->tid == mapping_tid() &&
	    cpu_since(slot->leave, ticks, &slot->idle_cpu_ns))
		slot->flags |= TLSTALL_HS_IDLE_CPU;
}

static void freed(struct track *track)
{
	struct tlstall_handshake *slot = attempt_slot(track);
	uint64_t ticks;

	if (!slot)
		return;
	ticks = clock_ticks();
	slot->freed = ticks;
	if (slot->flags & TLSTALL_HS_COMPACT && slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT)
		attempt_promote(track, slot, slot->bytes_in, slot->bytes_out);
	/* no thread can be inside a call anymore */
	if (slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT && slot->enter)
		handshake_left(slot, ticks);
	if (slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT)
		left_behind(track, slot, ticks);
	attempt_summarize(track);
	attempt_give_up(track, TLSTALL_HS_FREED, ticks);
}

void attempt_freed(struct track *track)
{
	if (!mapping.header)
		return;
	guard_enter();
	freed(track);
	guard_leave();
}

static void timer(struct track *track, bool sent)
{
	struct tlstall_handshake *slot = attempt_running(track);

	if (!slot)
		return;
	slot->timer_last = clock_ticks();
	slot->timer_calls += sent;
}

void attempt_timer(struct track *track, bool sent)
{
	int saved = errno;

	if (!track || !mapping.header)
		return;
	guard_enter();
	timer(track, sent);
	guard_leave();
	errno = saved;
}

/* Handshakes that this process leaves unfinished at exit count as abandoned. */
static void abandon_all(void)
{
	uint64_t used, now = clock_ticks();

	used = __atomic_load_n(&mapping.header->slot_cursor, __ATOMIC_ACQUIRE);
	for (uint64_t i = 0; i < used && i < mapping.slot_count; i++) {
		struct tlstall_handshake *slot = &mapping.handshakes[i];

		if (__atomic_load_n(&slot->status, __ATOMIC_ACQUIRE) != TLSTALL_SLOT_LIVE ||
		    slot->process != mapping_identity()->process)
			continue;
		if (slot->flags & TLSTALL_HS_COMPACT && slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT)
			write_calls(slot);
		if (handshake_give_up(slot, now))
			event_end(slot, slot->last_function);
	}
}

__attribute__((destructor)) static void at_exit(void)
{
	if (!mapping.header)
		return;
	guard_enter();
	abandon_all();
	guard_leave();
}
