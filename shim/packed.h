/* SPDX-License-Identifier: Apache-2.0 */
/* The first calls of a COMPACT handshake, one word each: see TLSTALL_PACK. */
#ifndef SHIM_PACKED_H
#define SHIM_PACKED_H

#include "handshake.h"

static inline uint64_t packed_ticks(uint64_t ticks)
{
	unsigned bits = ticks ? 64u - (unsigned)__builtin_clzll(ticks) : 0;
	unsigned exponent = bits > 14 ? bits - 14 : 0;

	return (ticks >> exponent) << 6 | exponent;
}

/* Adds a call that began at `enter`; must be called before the call is counted. */
static inline void packed_add(struct tlstall_handshake *slot, uint64_t enter, const struct handshake_leave *in)
{
	uint32_t at = slot->calls;
	uint64_t gap = at && enter > slot->leave ? enter - slot->leave : 0;

	if (at >= TLSTALL_PACKED)
		return;
	slot->packed[at] = (uint64_t)in->function | (uint64_t)(in->error & 15) << 6 |
			   (uint64_t)(in->ret < 0 ? 0 : in->ret ? 2 : 1) << 10 |
			   packed_ticks(gap) << 12 | packed_ticks(in->ticks - enter) << 32 |
			   (uint64_t)in->state << 52 | (uint64_t)in->finished << 60;
}

/* Writes them all as events, as if recorded in full. */
void packed_write(struct tlstall_handshake *slot);

#endif
