/* SPDX-License-Identifier: Apache-2.0 */
#include "packed.h"

#include "events.h"
#include "libssl.h"

TLSTALL_ASSERT(FN_COUNT <= 64); /* six bits */

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
