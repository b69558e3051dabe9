/* SPDX-License-Identifier: Apache-2.0 */
/* Looks at many processes, one a line: those with a handshake first. */
#ifndef TOOLS_LIVE_LOOKED_TABLE_H
#define TOOLS_LIVE_LOOKED_TABLE_H

#include "live/looked.h"

struct looked_table;

struct looked_table *looked_table_new(void);
void looked_table_add(struct looked_table *table, const struct looked *looked);
void looked_table_print(struct looked_table *table);
void looked_table_free(struct looked_table *table);

#endif
