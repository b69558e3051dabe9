/* SPDX-License-Identifier: Apache-2.0 */
/* Turns a handshake's ticks and ids into the facts that judges look at. */
#include "diagnosis/facts.h"

#include <string.h>

#include "judge.h"

static uint64_t between(struct trace *trace, uint64_t from, uint64_t to)
{
	return from && to > from ? trace_span_ns(trace, to - from) : 0;
}

/*
 * The current run of equal results has its own start. The duration of an earlier one is estimated:
 * its share of all calls, of the whole time.
 */
static uint64_t longest_run_ns(struct trace *trace, const struct tlstall_handshake *h,
			       uint64_t age_ns)
{
	if (h->longest_run == h->run && h->run_start >= h->start)
		return between(trace, h->run_start, h->leave);
	return h->calls >= h->longest_run && h->calls ? age_ns / h->calls * h->longest_run : 0;
}

static void add_times(struct trace *trace, const struct tlstall_handshake *h, uint64_t now,
		      struct facts *out)
{
	uint64_t end = h->end ? h->end : now;
	bool open =
		h->outcome == TLSTALL_OUTCOME_IN_FLIGHT || h->outcome == TLSTALL_OUTCOME_ABANDONED;

	out->age_ns = between(trace, h->start, end);
	if (h->flags & TLSTALL_HS_MIDDLE)
		out->begun_ns = h->begun_ms * 1000000ull;
	out->in_op_ns = between(trace, h->enter, now);
	if (open && !h->enter)
		out->idle_ns = between(trace, h->leave, end);
	if (open)
		out->since_progress_ns =
			between(trace, h->progress ? h->progress : h->start,
				h->flags & TLSTALL_HS_LEFT && !h->enter ? h->leave : end);
	/* it had made no progress before we attached, either */
	if (open && h->flags & TLSTALL_HS_STOOD && h->progress <= h->start)
		out->since_progress_ns += out->begun_ns;
	out->longest_gap_ns = trace_span_ns(trace, h->longest_gap);
	out->longest_call_ns = trace_span_ns(trace, h->longest_call);
	out->run_ns = longest_run_ns(trace, h, out->age_ns);
	/*
	 * the slot may change while we read it; a run lasts no longer than the time without
	 * progress
	 */
	if (open && h->longest_run == h->run && out->run_ns > out->since_progress_ns)
		out->run_ns = out->since_progress_ns;
	out->before_start_ns = between(trace, h->created, h->start);
	out->free_after_ns = between(trace, h->leave, h->freed);
	out->fatal_ns = between(trace, h->end, h->fatal_last);
	out->timer_since_ns = between(trace, h->timer_last, end);
}

/*
 * A gap about which the kernel says nothing counts as a wait for the peer, unless the program
 * waited for its own lookup, or the last result asked for nothing.
 */
static void add_gaps(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	uint64_t waiting = h->gap_waiting + (tlstall_has_descriptor(&h->read) ? 0 : h->gap_unknown);
	uint64_t own = is_async_want(h->longest_gap_want) ? h->longest_gap : 0;

	out->in_call_ns = trace_span_ns(trace, h->in_call);
	out->gap_ready_ns = trace_span_ns(trace, h->gap_ready);
	out->gap_waiting_ns = trace_span_ns(trace, waiting > own ? waiting - own : 0);
}

/* The longest time between two states. The last entry is overwritten once all are used. */
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
	if (count) {
		uint64_t at = trace_span_ns(trace, TLSTALL_STATE_TICKS(h->states[count - 1]));

		out->since_state_ns = out->age_ns > at ? out->age_ns - at : 0;
	}
}

/* After its certificate is written, a server only signs until the next state. */
static void add_signature(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	for (unsigned i = 1; i < h->state_count && i < TLSTALL_STATES; i++) {
		const char *name = trace_state_name(trace, TLSTALL_STATE_ID(h->states[i - 1]));
		uint64_t from = TLSTALL_STATE_TICKS(h->states[i - 1]);
		uint64_t to = TLSTALL_STATE_TICKS(h->states[i]);

		if (to > from && name && strstr(name, "write certificate"))
			out->sign_ns = trace_span_ns(trace, to - from);
	}
}

/* The failure ended a wait, too: for the peer, unless a message of the peer had just been read. */
static void add_last_wait(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	unsigned last = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES;
	uint64_t at, end = h->end ? h->end - h->start : 0, ns;
	const char *name;
	bool again;

	if (!last-- || h->outcome != TLSTALL_OUTCOME_FAILED || h->end <= h->start)
		return;
	at = TLSTALL_STATE_TICKS(h->states[last]);
	ns = end > at ? trace_span_ns(trace, end - at) : 0;
	if (ns <= out->state_wait_ns)
		return;
	name = trace_state_name(trace, TLSTALL_STATE_ID(h->states[last]));
	again = last && TLSTALL_STATE_ID(h->states[last]) == TLSTALL_STATE_ID(h->states[last - 1]);
	out->state_wait_ns = ns;
	out->state_wait = name;
	out->state_wait_flight = !again && !(name && strstr(name, " read "));
}

/* The peer's first message has been read when a state repeats or its name contains "read". */
static void add_first_read(struct trace *trace, const struct tlstall_handshake *h,
			   struct facts *out)
{
	for (unsigned i = 1; i < h->state_count && i < TLSTALL_STATES; i++) {
		uint8_t id = TLSTALL_STATE_ID(h->states[i]);
		const char *name = trace_state_name(trace, id);

		if (TLSTALL_STATE_ID(h->states[i - 1]) != id && !(name && strstr(name, " read ")))
			continue;
		out->first_read_ns = trace_span_ns(trace, TLSTALL_STATE_TICKS(h->states[i])) + 1;
		return;
	}
}

/*
 * Adds up how long each flight took, from its first message that was read to its last. A repeated
 * state marks a flight's first message. `mark` is when the last message came; 0 while it is our
 * turn.
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

/* A state repeated at once marks an arrival; a second "write client hello", a HelloRetryRequest. */
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
	/* between ops, the state itself says what was read */
	out->next_arrived = out->next_arrived && h->enter;
	out->hello_retry = hellos > 1;
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

static void add_measured(const struct tlstall_handshake *h, struct facts *out)
{
#define SAME(field) out->field = h->field
	SAME(longest_gap_ready_ms);
	SAME(first_flight);
	SAME(pending_in);
	SAME(pending_out);
	SAME(thread_handshakes);
	SAME(bytes_in);
	SAME(bytes_out);
	SAME(cpu_ns);
	SAME(read);
	SAME(write);
	SAME(local);
	SAME(peer);
	SAME(at_start);
	SAME(at_gap);
	SAME(at_end);
	SAME(gap_cpu_ns);
	SAME(idle_cpu_ns);
	SAME(fatal_calls);
	SAME(fatal_cpu_ns);
	SAME(timer_calls);
	SAME(connected_ms);
#undef SAME
}

static void add_record(const struct tlstall_handshake *h, struct facts *out)
{
	*out = (struct facts){
#define SAME(field) .field = h->field
		SAME(outcome),
		SAME(role),
		SAME(version),
		SAME(flags),
		SAME(misuse),
		SAME(calls),
		SAME(retries),
		SAME(want_read),
		SAME(want_write),
		SAME(want_other),
		SAME(get_errors),
		SAME(longest_run),
		SAME(stale_error),
		SAME(last_ret),
		SAME(verify_result),
		SAME(last_error),
		SAME(last_errno),
		SAME(first_read_error),
		SAME(longest_gap_want),
		SAME(longest_run_error),
		SAME(alert_count),
		SAME(state_count),
		SAME(not_before),
		SAME(not_after),
		SAME(key_type),
		SAME(key_bits),
#undef SAME
		.gap_cpu_known = h->flags & TLSTALL_HS_GAP_CPU,
		.idle_cpu_known = h->flags & TLSTALL_HS_IDLE_CPU,
		.entered = h->enter,
		.ended = h->end,
		.forked = h->process > 0,
		.wait_fd = -1,
		.wait = TLSTALL_WAIT_NOT_LOOKED,
	};
	add_measured(h, out);
	memcpy(out->alerts, h->alerts, sizeof(out->alerts));
	memcpy(out->sni, h->sni, sizeof(out->sni) - 1);
}

/* The first clock pair counts: a clock that was wrong then may have been set since. */
static void add_wall_clock(struct trace *trace, const struct tlstall_handshake *h,
			   struct facts *out)
{
	const struct tlstall_clock_pair *first = &trace_header(trace)->first;
	uint64_t at = h->end ? h->end : trace_horizon(trace, h->process);
	uint64_t late_s = trace_realtime_ns(trace, at) / 1000000000;

	out->realtime_s = late_s;
	if (!first->realtime_ns || at < first->ticks)
		return;
	out->realtime_s =
		(first->realtime_ns + trace_span_ns(trace, at - first->ticks)) / 1000000000;
	out->clock_step_s = (int64_t)(late_s - out->realtime_s);
}

static void add_all(struct trace *trace, const struct tlstall_handshake *h, uint64_t now,
		    struct facts *out)
{
	const struct tlstall_header *header = trace_header(trace);

	add_record(h, out);
	add_times(trace, h, now, out);
	add_gaps(trace, h, out);
	add_state_wait(trace, h, out);
	add_last_wait(trace, h, out);
	add_first_read(trace, h, out);
	add_signature(trace, h, out);
	add_arrivals(trace, h, out);
	add_flights(trace, h, out);
	add_names(trace, h, out);
	out->sni_hidden = header->privacy & TLSTALL_PRIVACY_SNI;
	/* detaching switches off; before that, the mode was not one of these */
	out->get_errors_left_out =
		header->control.mode < TLSTALL_MODE_ALL && !header->detached;
	out->finished_before = h->flags & TLSTALL_HS_RENEGOTIATION && h->parent;
	if (h->libssl < header->libssl_count)
		out->libssl_version = header->libssl[h->libssl].version_num;
}

void facts_from_trace(struct trace *trace, const struct tlstall_handshake *h, struct facts *out)
{
	struct tlstall_process process = {0};

	add_all(trace, h, trace_horizon(trace, h->process), out);
	out->process_alive = trace_alive(trace, h->process);
	add_wall_clock(trace, h, out);
	out->timer_known = trace_header(trace)->minor >= 3;
	if (!trace_process(trace, h->process, &process))
		out->process_exited = process.exited;
	/* the process goes on, and its handshakes may too */
	out->detached = trace_header(trace)->detached && h->outcome == TLSTALL_OUTCOME_IN_FLIGHT;
	if (out->detached) {
		out->process_alive = true;
		out->process_exited = false;
	}
	if (out->process_exited && h->end)
		out->exit_after_ns = between(trace, h->end, process.exit_ticks) + 1;
}

/* ---- as it was when a look was taken ------------------------------------------------ */

/* Undoes what happened after `at`. Sums cannot be undone, so they are cleared. */
static void reopen(struct tlstall_handshake *h, uint64_t at)
{
	const uint32_t later = TLSTALL_HS_FREED | TLSTALL_HS_CLEARED | TLSTALL_HS_SHUTDOWN |
			       TLSTALL_HS_FIRST_READ | TLSTALL_HS_LEFT | TLSTALL_HS_IDLE_CPU;

	h->outcome = TLSTALL_OUTCOME_IN_FLIGHT;
	h->end = h->freed = 0;
	h->flags &= ~later;
	if (h->longest_gap_start + h->longest_gap > at)
		h->longest_gap = h->longest_gap_start = h->longest_gap_ready_ms = 0;
	if (h->longest_call_start + h->longest_call > at)
		h->longest_call = h->longest_call_start = 0;
	if (h->run_start > at)
		h->run_start = h->run = h->longest_run = 0;
	h->in_call = h->gap_waiting = h->gap_ready = h->gap_unknown = 0;
	h->fatal_calls = 0;
	h->fatal_last = h->fatal_cpu_ns = 0;
	h->at_end.ticks = 0;
	if (h->at_gap.ticks > at)
		h->at_gap.ticks = 0;
}

static void forget_later(struct trace *trace, struct tlstall_handshake *h, uint64_t at)
{
	uint64_t since = at > h->start ? at - h->start : 0, ns = trace_span_ns(trace, since);
	unsigned states = h->state_count < TLSTALL_STATES ? h->state_count : TLSTALL_STATES;
	unsigned alerts = 0;

	while (states && TLSTALL_STATE_TICKS(h->states[states - 1]) > since)
		states--;
	h->state_count = (uint8_t)states;
	while (alerts < h->alert_count && alerts < sizeof(h->alerts) / sizeof(h->alerts[0]) &&
	       h->alerts[alerts].at_us * 1000ull <= ns)
		alerts++;
	h->alert_count = (uint8_t)alerts;
}

void facts_at(struct trace *trace, const struct tlstall_handshake *h, uint64_t at,
	      struct facts *out)
{
	struct tlstall_handshake then = *h;

	reopen(&then, at);
	forget_later(trace, &then, at);
	add_all(trace, &then, at, out);
	/* the program has run the timer since, so it was not dead */
	if (h->timer_last > at)
		out->timer_since_ns = 1;
	out->process_alive = true;
}
