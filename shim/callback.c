/* SPDX-License-Identifier: Apache-2.0 */
/* States, alerts, and handshakes that none of the interposed calls drives. */
#include "callback.h"

#include "attempt.h"
#include "call.h"
#include "clock.h"
#include "handshake.h"
#include "mapping.h"
#include "observe.h"
#include "recorder.h"
#include "stack.h"

static void enter(struct tlstall_handshake *slot, uint8_t function)
{
	struct handshake_enter in = {
		.ticks = clock_ticks(),
		.ticks_per_ms = 1,
		.tid = mapping_tid(),
		.function = function,
	};

	handshake_enter(slot, &in);
}

static bool is_quic(const struct libssl *lib, const SSL *ssl)
{
	return lib->SSL_is_quic && lib->SSL_is_quic(ssl);
}

/* A renegotiation inside an op, or a handshake that libssl itself drives (BIO_f_ssl). */
static void on_start(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_make(lib, ssl);
	bool post_handshake = lib->SSL_version(ssl) == TLS1_3_VERSION || is_quic(lib, ssl);
	struct tlstall_handshake *slot;

	if (!track || track_phase(track) == PHASE_RUNNING ||
	    (post_handshake && track_phase(track) != PHASE_NEW))
		return;
	slot = attempt_begin(track, ssl, clock_ticks(), TLSTALL_ROLE_UNKNOWN, false);
	if (!slot)
		return;
	if (!track_is_inside(track))
		slot->flags |= TLSTALL_HS_INTERNAL;
	slot->stack_first = stack_take();
	enter(slot, track_is_inside(track) ? track->in_function : FN_INTERNAL);
}

static struct tlstall_handshake *slot_of(struct track *track, const SSL *ssl, int where)
{
	if (attempt_is_inherited(track))
		return attempt_inherit(track, ssl, clock_ticks());
	/* the alert that refuses a client certificate arrives in the first read */
	return track_phase(track) == PHASE_RUNNING || (where & SSL_CB_ALERT) ? attempt_slot(track) : NULL;
}

static void note_alert(struct tlstall_handshake *slot, int where, int ret)
{
	uint64_t now = clock_ticks();

	handshake_alert(slot, where & SSL_CB_READ, (uint8_t)(ret >> 8), (uint8_t)ret, now,
			mapping_ticks_per_ms(now));
}

void callback_state(const struct track *track, const SSL *ssl)
{
	struct tlstall_handshake *slot = track_slot(track);
	uint8_t state;

	/* the slot may be another handshake's if a new file replaced a lost one */
	if (!slot || __atomic_load_n(&slot->number, __ATOMIC_ACQUIRE) != track->number)
		return;
	/* the clock comes last: then little has to be kept over a call */
	state = observe_state(track->lib, ssl);
	handshake_state(slot, state, clock_ticks());
}

void callback_info(const struct libssl *lib, const SSL *ssl, int where, int ret)
{
	struct track *track;
	struct tlstall_handshake *slot;
	bool internal;

	if (where & SSL_CB_HANDSHAKE_START)
		on_start(lib, ssl);
	track = track_get(lib, ssl);
	slot = track ? slot_of(track, ssl, where) : NULL;
	if (!slot)
		return;
	internal = track_phase(track) == PHASE_RUNNING && !track_is_inside(track) &&
		   slot->outcome == TLSTALL_OUTCOME_IN_FLIGHT &&
		   (where & (SSL_CB_LOOP | SSL_CB_EXIT));
	if (internal && !slot->enter)
		enter(slot, FN_INTERNAL);
	if (where & SSL_CB_ALERT)
		note_alert(slot, where, ret);
	else if ((where & SSL_CB_LOOP) && slot->outcome != TLSTALL_OUTCOME_OK)
		handshake_state(slot, observe_state(lib, ssl), clock_ticks());
	/* a QUIC connection is locked here, and SSL_get_error would disturb it */
	if (internal && (where & SSL_CB_EXIT) && (ret > 0 || !is_quic(lib, ssl)))
		call_internal(track, ssl, ret);
	if (track_phase(track) != PHASE_RUNNING)
		attempt_linger(track);
}
