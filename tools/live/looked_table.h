/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at many processes, one a line: those with a handshake first. */
#ifndef TOOLS_LIVE_LOOKED_TABLE_H
#define TOOLS_LIVE_LOOKED_TABLE_H

#include <stdio.h>

#include "live/looked.h"

struct looked_table;

struct looked_table *looked_table_new(void);
void looked_table_add(struct looked_table *table, const struct looked *looked);
/* -1: out of memory, of which it may have run out before. */
int looked_table_print(struct looked_table *table, FILE *out);
void looked_table_free(struct looked_table *table);

#endif
