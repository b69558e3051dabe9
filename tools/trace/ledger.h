/* SPDX-License-Identifier: Apache-2.0 */
/* The counters from which the shims in a directory know how much space traces take there. */
#ifndef TOOLS_TRACE_LEDGER_H
#define TOOLS_TRACE_LEDGER_H

/*
 * Recounts for each user who has a counter there, as far as permitted. -1 with errno: not permitted
 * for one.
 */
int trace_ledger_settle(const char *directory);

#endif
