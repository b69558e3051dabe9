/* SPDX-License-Identifier: Apache-2.0 */
#include "diagnosis/facts.h"

void facts_from_trace(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	uint64_t end = h->end ? h->end : trace_horizon(trace, h->process);

	*out = (struct facts){.h = *h, .wait_fd = -1, .wait = WAIT_NOT_LOOKED};
	out->age_ns = trace_span_ns(trace, end > h->start ? end - h->start : 0);
	out->time.total_ns = out->time.other_ns = out->age_ns;
}

void facts_add_neighbours(struct trace *trace, struct facts *facts)
{
	(void)trace, (void)facts;
}
