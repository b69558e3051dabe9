/* SPDX-License-Identifier: Apache-2.0 */
/* What a call is forwarded to if another library (see chain.h) has that function. */
#ifndef SHIM_CHAINED_H
#define SHIM_CHAINED_H

#include "libssl.h"

extern const struct functions chained __attribute__((visibility("hidden")));

#endif
