/* SPDX-License-Identifier: Apache-2.0 */
#include "packed.h"

#include "events.h"
#include "libssl.h"

TLSTALL_ASSERT(FN_COUNT <= 64); /* six bits */

static uint64_t pack_ticks(uint64_t ticks)
{
	unsigned bits = ticks ? 64u - (unsigned)__builtin_clzll(ticks) : 0;
	unsigned exponent = bits > 14 ? bits - 14 : 0;

	return (ticks >> exponent) << 6 | exponent;
}

void packed_add(struct tlstall_handshake *slot, uint64_t enter, const struct handshake_leave *in)
{
	uint32_t at = slot->calls;
	uint64_t gap = at && enter > slot->leave ? enter - slot->leave : 0;

	if (at >= TLSTALL_PACKED)
		return;
	slot->packed[at] = (uint64_t)in->function | (uint64_t)(in->error & 15) << 6 |
			   (uint64_t)(in->ret < 0 ? 0 : in->ret ? 2 : 1) << 10 |
			   pack_ticks(gap) << 12 | pack_ticks(in->ticks - enter) << 32 |
			   (uint64_t)in->state << 52 | (uint64_t)in->finished << 60;
}

void packed_write(struct tlstall_handshake *slot)
{
	uint64_t at = slot->start;
	uint32_t count = slot->calls;

	for (uint32_t i = 0; i < count && i < TLSTALL_PACKED; i++) {
		uint64_t word = slot->packed[i];

		at += TLSTALL_PACK_GAP(word);
		event_packed(slot, word, at, i);
		at += TLSTALL_PACK_DURATION(word);
	}
}
