/* SPDX-License-Identifier: Apache-2.0 */
#include "attempt.h"

#include "clock.h"
#include "events.h"
#include "handshake.h"
#include "mapping.h"
#include "observe.h"
#include "recorder.h"

static __thread uint32_t thread_handshakes;

struct tlstall_handshake *attempt_slot(struct track *track)
{
	if (!track->slot || track->process != mapping_identity()->process ||
	    !recorder_retake(track->slot, track->number))
		return NULL;
	return track->slot;
}

void attempt_linger(struct track *track)
{
	recorder_release(track->slot, track->number, TLSTALL_SLOT_LINGER);
}

static void done(struct track *track)
{
	if (track->slot && track->process == mapping_identity()->process)
		recorder_release(track->slot, track->number, TLSTALL_SLOT_DONE);
	track->slot = NULL;
}

static void note_libssl(const struct libssl *lib)
{
	recorder_libssl(lib->id, lib->start, lib->size, (uint32_t)lib->OpenSSL_version_num(),
			lib->OpenSSL_version(0));
}

static void follows(struct tlstall_handshake *slot, uint64_t number, uint32_t flag)
{
	slot->parent = number;
	slot->flags |= flag;
}

struct tlstall_handshake *attempt_begin(struct track *track, const SSL *ssl, uint64_t ticks,
					enum tlstall_role role)
{
	struct tlstall_handshake *slot;

	done(track);
	slot = recorder_claim(ticks);
	track->slot = slot;
	track->phase = PHASE_RUNNING;
	track->process = mapping_identity()->process;
	if (!slot)
		return NULL;
	track->number = slot->number;
	slot->ssl = (uintptr_t)ssl;
	slot->created = track->created;
	track->created = 0; /* of a second handshake on this object that tells nothing */
	slot->libssl = track->lib->id;
	slot->thread_handshakes = thread_handshakes;
	if (track->finished_number)
		follows(slot, track->finished_number, TLSTALL_HS_RENEGOTIATION);
	note_libssl(track->lib);
	slot->role = (uint8_t)role;
	observe_start(track, ssl, slot);
	slot->state = recorder_state(track->lib->SSL_state_string_long(ssl));
	return slot;
}

struct tlstall_handshake *attempt_inherit(struct track *track, const SSL *ssl, uint64_t ticks)
{
	uint64_t parent = track->number, in = track->base_in, out = track->base_out;
	enum tlstall_role role = track->slot ? track->slot->role : TLSTALL_ROLE_UNKNOWN;
	struct tlstall_handshake *slot = attempt_begin(track, ssl, ticks, role);

	track->base_in = in;
	track->base_out = out;
	if (slot)
		follows(slot, parent, TLSTALL_HS_INHERITED);
	return slot;
}

void attempt_end_ok(struct track *track)
{
	track->finished_number = track->number;
	track->phase = PHASE_FOLLOWED;
	thread_handshakes++;
	attempt_linger(track);
}

void attempt_give_up(struct track *track, uint32_t flag, uint64_t ticks)
{
	struct tlstall_handshake *slot = attempt_slot(track);

	if (slot) {
		slot->flags |= flag;
		if (handshake_give_up(slot, ticks))
			event_end(slot, slot->last_function);
	}
	done(track);
	track->phase = PHASE_NEW;
}

void attempt_freed(struct track *track)
{
	struct tlstall_handshake *slot = mapping.header ? attempt_slot(track) : NULL;
	uint64_t ticks;

	if (!slot)
		return;
	ticks = clock_ticks();
	slot->freed = ticks;
	if (slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT)
		observe_left_behind(slot);
	attempt_give_up(track, TLSTALL_HS_FREED, ticks);
}

/* What this process leaves unfinished at its exit was abandoned. */
__attribute__((destructor)) static void at_exit(void)
{
	uint64_t used, now;

	if (!mapping.header)
		return;
	now = clock_ticks();
	used = __atomic_load_n(&mapping.header->slot_cursor, __ATOMIC_ACQUIRE);
	for (uint64_t i = 0; i < used && i < mapping.slot_count; i++) {
		struct tlstall_handshake *slot = &mapping.handshakes[i];

		if (__atomic_load_n(&slot->status, __ATOMIC_ACQUIRE) == TLSTALL_SLOT_LIVE &&
		    slot->process == mapping_identity()->process && handshake_give_up(slot, now))
			event_end(slot, slot->last_function);
	}
}
