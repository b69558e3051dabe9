/* SPDX-License-Identifier: Apache-2.0 */
/* The summary of a quick and healthy handshake in mode `watch`. */
#ifndef SHIM_SUMMARY_H
#define SHIM_SUMMARY_H

#include <stdbool.h>

#include "tlstall/trace.h"

/* The handshake succeeded, and its slot contains nothing that a summary cannot. */
static inline bool summary_is_enough(const struct tlstall_handshake *slot)
{
	return slot->flags & TLSTALL_HS_COMPACT && slot->outcome == TLSTALL_OUTCOME_OK;
}

void summary_write(const struct tlstall_handshake *slot);

#endif
