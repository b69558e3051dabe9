/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes in flight when the tool attached: the tool found them, and
 * knows at least how long ago they began.
 */
#ifndef SHIM_ADOPT_H
#define SHIM_ADOPT_H

#include <stdint.h>

#include "tlstall/attach.h"
#include "tlstall/trace.h"

/*
 * Called while no other thread uses them: before the import tables are
 * redirected, and after they are restored.
 */
void adopt_take(const struct tlstall_attach *wanted);
void adopt_forget(void);
/*
 * Adds what the tool saw of the object `slot->ssl`, whose bytes are
 * counted already. Once per object.
 */
void adopt_tell(struct tlstall_handshake *slot);

#endif
