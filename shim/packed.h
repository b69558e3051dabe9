/* SPDX-License-Identifier: Apache-2.0 */
/* The first calls of a COMPACT handshake, one word each: see TLSTALL_PACK. */
#ifndef SHIM_PACKED_H
#define SHIM_PACKED_H

#include "handshake.h"

/* Adds a call that began at `enter`; must be called before the call is counted. */
void packed_add(struct tlstall_handshake *slot, uint64_t enter, const struct handshake_leave *in);
/* Writes them all as events, as if recorded in full. */
void packed_write(struct tlstall_handshake *slot);

#endif
