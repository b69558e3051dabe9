/* SPDX-License-Identifier: Apache-2.0 */
/* Divides the wall time into five parts that always add up, whatever was recorded. */
#include "judge.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

const struct tlstall_socket *socket_now(const struct facts *f)
{
	if (f->live.ticks)
		return &f->live;
	if (f->outcome != TLSTALL_OUTCOME_OK && f->at_end.ticks)
		return &f->at_end;
	return NULL;
}

uint64_t open_gap_ready(const struct facts *f)
{
	const struct tlstall_socket *n = socket_now(f);

	if (!n || f->in_op_ns)
		return 0;
	if (f->last_error == TLSTALL_ERROR_WANT_READ && n->inq && n->inq != UINT32_MAX)
		return least(f->idle_ns, n->last_data_recv_ms * MS);
	if (f->last_error == TLSTALL_ERROR_WANT_WRITE && n->outq == 0)
		return least(f->idle_ns, n->last_ack_recv_ms * MS);
	return 0;
}

uint64_t bytes_consumed(const struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = &f->live;

	if (!now->ticks || !start->ticks || !now->tcp_state || now->inq == UINT32_MAX)
		return 0;
	return now->bytes_received - start->bytes_received - now->inq;
}

/* Inside an op, the BIOs' counters stand still, but the kernel's move. */
static void count_bytes(struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = &f->live;
	uint64_t in, out;

	if (f->ended || !now->ticks || !start->ticks || !now->tcp_state || now->inq == UINT32_MAX ||
	    now->outq == UINT32_MAX)
		return;
	in = bytes_consumed(f);
	out = now->bytes_acked - start->bytes_acked + now->outq;
	if ((int64_t)in > (int64_t)f->bytes_in)
		f->bytes_in = in;
	if ((int64_t)out > (int64_t)f->bytes_out)
		f->bytes_out = out;
	if (!f->calls && !f->bytes_in)
		f->first_flight = (uint32_t)f->bytes_out;
}

/* They do not show what came meanwhile, either: as long as bytes arrive, it makes progress. */
static void count_arrivals(struct facts *f)
{
	const struct tlstall_socket *start = &f->at_start, *now = socket_now(f);

	if (f->outcome != TLSTALL_OUTCOME_IN_FLIGHT && f->outcome != TLSTALL_OUTCOME_ABANDONED)
		return;
	if (now && start->ticks && now->bytes_received > start->bytes_received)
		f->since_progress_ns = least(f->since_progress_ns, now->last_data_recv_ms * MS);
}

/* Limits each part to what is left: two clocks never agree exactly. */
static uint64_t take(uint64_t *left, uint64_t part)
{
	uint64_t taken = least(*left, part);

	*left -= taken;
	return taken;
}

void split_time(struct facts *f)
{
	uint64_t left = f->age_ns, ready = open_gap_ready(f);
	/* a summary has only the total time of its calls, which counts as "other" */
	uint64_t in_call = f->ended && f->flags & TLSTALL_HS_COMPACT ? 0 : f->in_call_ns;
	uint64_t cpu = least(f->cpu_ns, in_call);
	uint64_t in_op = f->ended ? 0 : f->in_op_ns;
	bool peer = is_io_want(f->last_error);

	count_bytes(f);
	count_arrivals(f);
	f->time.total_ns = f->age_ns;
	f->time.cpu_ns = take(&left, cpu);
	f->time.wait_in_call_ns = take(&left, in_call - cpu + in_op);
	f->time.gap_ready_ns = take(&left, f->gap_ready_ns + ready);
	f->time.gap_waiting_ns = take(&left, f->gap_waiting_ns + (peer ? f->idle_ns - ready : 0));
	f->time.other_ns = left;
}
