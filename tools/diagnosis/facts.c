/* SPDX-License-Identifier: Apache-2.0 */
/* From ticks and ids to the facts that the judges look at. */
#include "diagnosis/facts.h"

#include <string.h>

#include "judge.h"

static uint64_t between(struct trace *trace, uint64_t from, uint64_t to)
{
	return from && to > from ? trace_span_ns(trace, to - from) : 0;
}

static bool kernel_knows(const struct tlstall_handshake *h)
{
	uint8_t bio_class = h->read.bio_class;

	return bio_class == TLSTALL_BIO_SOCKET || bio_class == TLSTALL_BIO_DATAGRAM ||
	       bio_class == TLSTALL_BIO_FD;
}

/*
 * The current run has its own start; of an earlier one the shim keeps the mean
 * gap at best: else its share of all calls is its share of the time.
 */
static uint64_t longest_run_ns(struct trace *trace, const struct tlstall_handshake *h,
			       uint64_t age_ns)
{
	if (h->run_gap_ns)
		return (uint64_t)h->longest_run * h->run_gap_ns;
	if (h->longest_run == h->run && h->run_start >= h->start)
		return between(trace, h->run_start, h->leave);
	return h->calls >= h->longest_run && h->calls ? age_ns / h->calls * h->longest_run : 0;
}

static void add_times(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	uint64_t now = trace_horizon(trace, h->process), end = h->end ? h->end : now;
	bool open =
		h->outcome == TLSTALL_OUTCOME_IN_FLIGHT || h->outcome == TLSTALL_OUTCOME_ABANDONED;

	out->age_ns = between(trace, h->start, end);
	out->in_op_ns = between(trace, h->enter, now);
	if (open && !h->enter)
		out->idle_ns = between(trace, h->leave, end);
	if (open)
		out->since_progress_ns = between(trace, h->progress ? h->progress : h->start, end);
	out->longest_gap_ns = trace_span_ns(trace, h->longest_gap);
	out->longest_call_ns = trace_span_ns(trace, h->longest_call);
	out->run_ns = longest_run_ns(trace, h, out->age_ns);
	/* it is being written while it is read: no run lasts longer than nothing has moved */
	if (open && h->longest_run == h->run && out->run_ns > out->since_progress_ns)
		out->run_ns = out->since_progress_ns;
	out->before_start_ns = between(trace, h->created, h->start);
	out->free_after_ns = between(trace, h->leave, h->freed);
}

/*
 * A gap of which the kernel tells nothing was a wait for the peer as far as
 * anyone can know; but not where the program's own lookup was what it waited
 * for, nor after a result that asked for nothing.
 */
static void add_gaps(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	uint64_t waiting = h->gap_waiting + (kernel_knows(h) ? 0 : h->gap_unknown);
	uint64_t own = is_async_want(h->longest_gap_want) ? h->longest_gap : 0;

	out->in_call_ns = trace_span_ns(trace, h->in_call);
	out->gap_ready_ns = trace_span_ns(trace, h->gap_ready);
	out->gap_waiting_ns = trace_span_ns(trace, waiting > own ? waiting - own : 0);
}

/* The time to each state from the one before. The last entry is overwritten when all are used. */
static void add_state_wait(struct trace *trace, const struct tlstall_handshake *h,
			   struct facts *out)
{
	uint64_t longest = 0;
	unsigned count = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES - 1;

	for (unsigned i = 1; i < count; i++) {
		uint64_t from = TLSTALL_STATE_TICKS(h->states[i - 1]);
		uint64_t to = TLSTALL_STATE_TICKS(h->states[i]);

		if (to <= from || to - from <= longest)
			continue;
		longest = to - from;
		out->state_wait = trace_state_name(trace, TLSTALL_STATE_ID(h->states[i - 1]));
		out->state_wait_flight =
			TLSTALL_STATE_ID(h->states[i - 1]) == TLSTALL_STATE_ID(h->states[i]);
	}
	out->state_wait_ns = trace_span_ns(trace, longest);
}

/*
 * The time from a flight's first message to its last that was read. A state that comes twice
 * tells of the first; `mark`: a flight has arrived up to there, 0: it is our turn.
 */
static void add_flights(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	bool open = h->outcome != TLSTALL_OUTCOME_OK && h->outcome != TLSTALL_OUTCOME_FAILED;
	uint64_t ticks = 0, mark = 0;

	for (unsigned i = 1; i < h->state_count; i++) {
		uint64_t at = TLSTALL_STATE_TICKS(h->states[i]);
		uint8_t id = TLSTALL_STATE_ID(h->states[i]);
		const char *name = trace_state_name(trace, id);
		bool again = TLSTALL_STATE_ID(h->states[i - 1]) == id;
		bool reads = again || (name && strstr(name, " read "));

		if (mark && reads && at > mark)
			ticks += at - mark;
		mark = reads ? at : 0;
	}
	out->flight_ns = trace_span_ns(trace, ticks);
	if (open && mark && trace_span_ns(trace, mark) < out->age_ns)
		out->flight_ns += out->age_ns - trace_span_ns(trace, mark);
}

/* A state that comes twice in a row tells of an arrival; later again, of a second ClientHello. */
static void add_arrivals(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	unsigned hellos = 0;

	for (unsigned i = 0; i < h->state_count; i++) {
		uint8_t id = TLSTALL_STATE_ID(h->states[i]);
		bool again = i && TLSTALL_STATE_ID(h->states[i - 1]) == id;
		const char *name = trace_state_name(trace, id);

		hellos += !again && name && strstr(name, "write client hello");
		out->next_arrived = again;
	}
	/* between ops the state itself says what was read */
	out->next_arrived = out->next_arrived && h->enter;
	out->hello_retry = hellos > 1 || h->flags & TLSTALL_HS_HELLO_RETRY;
}

static void add_names(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	out->state = trace_state_name(trace, h->state);
	out->failed_state = trace_state_name(trace, h->failed_state);
	out->reason = trace_string(trace, h->reason);
	out->last_function = trace_function_name(trace, h->last_function);
	out->last_kind = trace_function_kind(trace, h->last_function);
	out->in_call_function = trace_function_name(trace, h->in_call_function);
	out->in_call_kind = trace_function_kind(trace, h->in_call_function);
}

void facts_from_trace(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	const struct tlstall_header *header = trace_header(trace);
	struct tlstall_process process = {0};

	*out = (struct facts){.h = *h, .wait_fd = -1, .wait = WAIT_NOT_LOOKED};
	add_times(trace, h, out);
	add_gaps(trace, h, out);
	add_state_wait(trace, h, out);
	add_arrivals(trace, h, out);
	add_flights(trace, h, out);
	add_names(trace, h, out);
	out->process_alive = trace_alive(trace, h->process);
	if (!trace_process(trace, h->process, &process))
		out->process_exited = process.exited;
	if (out->process_exited && h->end)
		out->exit_after_ns = between(trace, h->end, process.exit_ticks) + 1;
	out->finished_before = h->flags & TLSTALL_HS_RENEGOTIATION && h->parent;
	if (h->libssl < header->libssl_count)
		out->libssl_version = header->libssl[h->libssl].version_num;
	facts_settle(out);
}
