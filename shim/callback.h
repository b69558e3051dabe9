/* SPDX-License-Identifier: Apache-2.0 */
/* Records what OpenSSL reports to our info callback. */
#ifndef SHIM_CALLBACK_H
#define SHIM_CALLBACK_H

#include "guard.h"
#include "mapping.h"
#include "track.h"

/* The ordinary states of a handshake that a recorded op drives: about sixteen per handshake. */
static inline bool callback_is_usual(const struct track *track, int where)
{
	return track_phase(track) == PHASE_RUNNING && track_is_inside(track) && !(where & SSL_CB_ALERT) &&
	       track_slot(track) && mapping_is_process(track->process) && guard_mask == GUARD_OPEN;
}
/* An ordinary state. */
void callback_state(const struct track *track, const SSL *ssl);

/* Everything else. */
void callback_info(const struct libssl *lib, const SSL *ssl, int where, int ret);

#endif
