/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of one handshake, taken from its trace. */
#ifndef TOOLS_DIAGNOSIS_FACTS_H
#define TOOLS_DIAGNOSIS_FACTS_H

#include "diagnosis/diagnosis.h"
#include "trace/reader.h"

/*
 * All but what is seen from outside (`live`, `wait` ...: see kernel/kernel.h) and
 * the neighbours. The strings belong to the trace.
 */
void facts_from_trace(struct trace *trace, const struct tlstall_handshake *h, struct facts *out);

/*
 * What the other handshakes and the events of the trace tell. Reading it takes
 * all of the trace: read once where many handshakes are looked at.
 */
struct neighbours;
int neighbours_read(struct trace *trace, struct neighbours **out); /* an enum trace_error */
void neighbours_add(const struct neighbours *neighbours, struct facts *facts);
void neighbours_free(struct neighbours *neighbours);

/* The three in one, for a single handshake. */
void facts_add_neighbours(struct trace *trace, struct facts *facts);

#endif
