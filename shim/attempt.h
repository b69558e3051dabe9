/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning and end of a handshake: the slot of the trace that its track holds in between. */
#ifndef SHIM_ATTEMPT_H
#define SHIM_ATTEMPT_H

#include "mapping.h"
#include "track.h"

/* The slot, held for writing; NULL: none, another process's, or already reused. */
struct tlstall_handshake *attempt_slot(struct track *track);
/* The same, if its handshake is unfinished: nothing needs to be released. */
static inline struct tlstall_handshake *attempt_running(struct track *track)
{
	return track_phase(track) == PHASE_RUNNING ? attempt_slot(track) : NULL;
}
/* Releases the slot of a handshake that has ended; it stays readable. */
void attempt_linger(struct track *track);

/*
 * `role` as far as the caller knows it: an SSL object has its own only after its first op.
 * `compact`: the kernel is not asked, see watch.h.
 */
struct tlstall_handshake *attempt_begin(struct track *track, const SSL *ssl, uint64_t ticks,
					enum tlstall_role role, bool compact);
/* A handshake that an earlier attachment left in its own trace begins anew in this one. */
static inline void attempt_forget_earlier(struct track *track)
{
	if (track_phase(track) != PHASE_RUNNING || !track_slot(track) ||
	    track->number > mapping.earlier)
		return;
	track_set_slot(track, NULL);
	track_set_phase(track, PHASE_NEW);
	track->finished_number = 0;
}

/* A handshake that began before the shim was attached. */
void attempt_middle(struct track *track, struct tlstall_handshake *slot);
/*
 * Records a COMPACT handshake in full from now on: observes what was skipped, and writes the calls
 * so far. `in` and `out` are the bytes that went through its BIOs so far.
 */
void attempt_promote(struct track *track, struct tlstall_handshake *slot, uint64_t in,
		     uint64_t out);
/* A forked child continues with its own copy; the parent's stays as it was. */
struct tlstall_handshake *attempt_inherit(struct track *track, const SSL *ssl, uint64_t ticks);
static inline bool attempt_is_inherited(const struct track *track)
{
	return track_phase(track) == PHASE_RUNNING && track->process != mapping_identity()->process;
}

void attempt_end_ok(struct track *track);
/* Nothing more will be recorded: if a summary is enough, the slot is no longer needed. */
void attempt_summarize(struct track *track);
/* Ends an unfinished handshake; `flag` is the TLSTALL_HS_* of what ended it. */
void attempt_give_up(struct track *track, uint32_t flag, uint64_t ticks);
/* The DTLS timer was run, and may have retransmitted. NULL: not a known object. */
void attempt_timer(struct track *track, bool sent);
/* The SSL object is gone. */
void attempt_freed(struct track *track);
/*
 * An object that another process has a track of was freed: `hint` is what that process left on it.
 */
void attempt_freed_elsewhere(const SSL *ssl, const void *hint);

#endif
