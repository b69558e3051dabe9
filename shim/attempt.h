/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake's begin and end: the slot of the trace that its track holds meanwhile. */
#ifndef SHIM_ATTEMPT_H
#define SHIM_ATTEMPT_H

#include "mapping.h"
#include "track.h"

/* The slot, held for writing; NULL: none, another process's, or reused by now. */
struct tlstall_handshake *attempt_slot(struct track *track);
/* Lets go of the slot of a handshake that has ended; it stays readable. */
void attempt_linger(struct track *track);

/* The role as far as the caller knows it: an SSL has its own from its first op on only. */
struct tlstall_handshake *attempt_begin(struct track *track, const SSL *ssl, uint64_t ticks,
					enum tlstall_role role);
/* A forked child goes on with a copy of its own; the parent's stays as it was. */
struct tlstall_handshake *attempt_inherit(struct track *track, const SSL *ssl, uint64_t ticks);
static inline bool attempt_is_inherited(const struct track *track)
{
	return track->phase == PHASE_RUNNING && track->process != mapping_identity()->process;
}

void attempt_end_ok(struct track *track);
/* Ends an unfinished one; flag is the TLSTALL_HS_* that says by what. */
void attempt_give_up(struct track *track, uint32_t flag, uint64_t ticks);
/* The SSL object is gone. */
void attempt_freed(struct track *track);

#endif
