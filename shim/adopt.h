/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes that were in flight when the tool attached: it found them, and says at least how long
 * ago they began.
 */
#ifndef SHIM_ADOPT_H
#define SHIM_ADOPT_H

#include <stdint.h>

#include "tlstall/attach.h"
#include "tlstall/trace.h"

/*
 * No other thread uses them then: before the import tables are redirected, and after they are
 * restored.
 */
void adopt_take(const struct tlstall_attach *wanted);
void adopt_forget(void);
/* What the tool saw of that object, `slot->ssl`, whose bytes are counted so far. It is told once. */
void adopt_tell(struct tlstall_handshake *slot);

#endif
