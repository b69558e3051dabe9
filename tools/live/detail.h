/* SPDX-License-Identifier: Apache-2.0 */
/* Everything known about one handshake in flight: verdict, its states over time, its stack. */
#ifndef TOOLS_LIVE_DETAIL_H
#define TOOLS_LIVE_DETAIL_H

#include <stdio.h>

#include "symbols/symbols.h"
#include "view/subject.h"

/* Lines of at most 80 columns, except for long names in stacks. `symbols` NULL: no stack. */
void detail_write(FILE *out, struct subject *subject, struct symbols *symbols);

#endif
