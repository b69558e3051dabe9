/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of one handshake, taken from its trace. */
#ifndef TOOLS_DIAGNOSIS_FACTS_H
#define TOOLS_DIAGNOSIS_FACTS_H

#include "diagnosis/diagnosis.h"
#include "trace/reader.h"

/*
 * All facts except those seen from outside (`live`, `wait` ...: see view/subject.h), those from
 * neighbors, and derived ones (facts_settle). The strings belong to the trace.
 */
void facts_from_trace(struct trace *trace, const struct tlstall_handshake *h, struct facts *out);

/*
 * The same at an earlier time `at` (ticks), of which `h` is a record: it hung then, and later
 * states are not known yet.
 */
void facts_at(struct trace *trace, const struct tlstall_handshake *h, uint64_t at,
	      struct facts *out);

/*
 * What the other handshakes and the events of the trace show. This reads the whole trace: do it
 * once if many handshakes are examined.
 */
struct neighbors;
int neighbors_read(struct trace *trace, struct neighbors **out); /* an enum trace_error */
void neighbors_add(const struct neighbors *neighbors, const struct tlstall_handshake *h,
		    struct facts *facts);
void neighbors_free(struct neighbors *neighbors);

#endif
