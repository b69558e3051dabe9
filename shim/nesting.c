/* SPDX-License-Identifier: Apache-2.0 */
#include "nesting.h"

#include "attempt.h"
#include "clock.h"
#include "handshake.h"
#include "pool.h"

__thread struct inside nesting_inside;
__thread const SSL *call_last_op;

void nesting_note_left(void)
{
	struct track *track = pool_track((const void *)(uintptr_t)nesting_inside.token);
	struct tlstall_handshake *slot = track ? attempt_running(track) : NULL;

	nesting_inside.frame = 0;
	if (!slot || !slot->enter || slot->tid != mapping_tid())
		return;
	track_set_frame(track, 0);
	handshake_left(slot, clock_ticks());
}

/* The call marked as left returns after all, or a later one does. */
void nesting_take_back(const struct call *call)
{
	struct tlstall_handshake *slot = call->slot;

	if (slot->enter == call->ticks)
		slot->flags &= ~TLSTALL_HS_LEFT;
	if (slot->number != call->track->number ||
	    slot->enter || slot->leave < call->ticks)
		return;
	slot->flags &= ~TLSTALL_HS_LEFT;
	slot->in_call -= slot->leave - call->ticks;
	slot->enter = call->ticks;
}
