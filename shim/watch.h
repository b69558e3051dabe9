/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mode `watch`: details only when needed. A handshake is COMPACT at first: its slot holds what a
 * hang or a kill would need, its calls are packed into words of the slot, and the kernel is asked
 * once, for TCP_INFO at the start. A handshake that ends quickly and well leaves a summary after
 * its first read. One that is late, fails or is freed unfinished is promoted, see
 * attempt_promote().
 */
#ifndef SHIM_WATCH_H
#define SHIM_WATCH_H

#include "call.h"
#include "handshake.h"

/* Whether a handshake that begins now should be COMPACT. */
bool watch_begins(const struct track *track, uint64_t now);

static inline bool watch_is_compact(const struct tlstall_handshake *slot)
{
	return slot->flags & TLSTALL_HS_COMPACT;
}

/*
 * The usual call on a COMPACT handshake, but for its first. False: it may be any other, and nothing
 * has been done.
 */
bool watch_enter_again(struct call *call);
bool watch_leave_again(const struct call *call, int ret, int error_number, uint64_t ticks);

/* An op on a COMPACT handshake begins. False: the handshake is late, and was promoted. */
bool watch_enter(const struct call *call);
/*
 * The op returned. False: it failed or was long, and the handshake was promoted; `in` still has to
 * be recorded.
 */
bool watch_leave(const struct call *call, struct handshake_leave *in);

/* A handshake that is no longer COMPACT ended well: updates what counts as late. */
void watch_learn(const struct tlstall_handshake *slot);

#endif
