/* SPDX-License-Identifier: Apache-2.0 */
#include "handshake.h"

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/*
 * How much of a gap the socket was ready for. This is a lower bound: the kernel reports only when
 * data (or an acknowledgment) arrived last.
 */
static uint64_t ready_part(const struct tlstall_handshake *h, uint64_t gap, uint64_t ticks_per_ms,
			   const struct tlstall_socket *s)
{
	if (!s || !s->tcp_state)
		return 0;
	if (h->last_error == TLSTALL_ERROR_WANT_READ && s->inq && s->inq != UINT32_MAX)
		return least(gap, s->last_data_recv_ms * ticks_per_ms);
	if (h->last_error == TLSTALL_ERROR_WANT_WRITE && s->outq == 0)
		return least(gap, s->last_ack_recv_ms * ticks_per_ms);
	return 0;
}

static void account_gap(struct tlstall_handshake *h, const struct handshake_enter *in)
{
	uint64_t gap = in->ticks > h->leave ? in->ticks - h->leave : 0;
	uint64_t ready = ready_part(h, gap, in->ticks_per_ms, in->socket);

	if (!tlstall_is_retry(h->last_error) || !handshake_kernel_knows(h)) {
		h->gap_unknown += gap;
	} else {
		h->gap_ready += ready;
		h->gap_waiting += gap - ready;
	}
	if (gap <= h->longest_gap)
		return;
	h->longest_gap = gap;
	h->longest_gap_start = h->leave;
	h->longest_gap_want = h->last_error;
	h->longest_gap_ready_ms = (uint32_t)(ready / (in->ticks_per_ms ? in->ticks_per_ms : 1));
	if (in->socket)
		h->at_gap = *in->socket;
	h->flags &= ~TLSTALL_HS_GAP_CPU;
	if (in->gap_cpu_known)
		h->flags |= TLSTALL_HS_GAP_CPU;
	h->gap_cpu_ns = in->gap_cpu_ns;
}

void handshake_enter(struct tlstall_handshake *h, const struct handshake_enter *in)
{
	if (h->enter && h->tid != in->tid)
		h->flags |= TLSTALL_HS_OVERLAP;
	if (h->outcome == TLSTALL_OUTCOME_FAILED)
		h->flags |= TLSTALL_HS_FATAL_RESUMED;
	else if (h->calls)
		account_gap(h, in);
	if (in->stale_error && !(h->flags & TLSTALL_HS_STALE_QUEUE)) {
		h->flags |= TLSTALL_HS_STALE_QUEUE;
		h->stale_error = in->stale_error;
	}
	h->tid = in->tid;
	h->in_call_function = in->function;
	__atomic_store_n(&h->enter, in->ticks, __ATOMIC_RELEASE);
}

static bool is_fatal(const struct handshake_leave *in)
{
	return !in->finished && in->error != TLSTALL_ERROR_NONE && !tlstall_is_retry(in->error);
}

/* A BIO that did not set its retry flag had made it look failed. */
static void reopen(struct tlstall_handshake *h)
{
	h->outcome = TLSTALL_OUTCOME_IN_FLIGHT;
	h->end = 0;
	h->fatal_calls = 0;
	h->fatal_last = h->fatal_cpu_ns = 0;
	h->gap_unknown += h->enter > h->leave ? h->enter - h->leave : 0;
}

enum tlstall_outcome handshake_leave(struct tlstall_handshake *h, const struct handshake_leave *in)
{
	/* calls after the failure are only counted: they tell less than the failure itself */
	if (h->outcome == TLSTALL_OUTCOME_FAILED && is_fatal(in)) {
		h->fatal_calls++;
		h->fatal_last = in->ticks;
		h->fatal_cpu_ns = in->fatal_cpu_ns;
		__atomic_store_n(&h->enter, 0, __ATOMIC_RELEASE);
		return TLSTALL_OUTCOME_FAILED;
	}
	if (h->outcome == TLSTALL_OUTCOME_FAILED)
		reopen(h);
	handshake_take(h, in);
	if (in->finished) {
		handshake_end(h, TLSTALL_OUTCOME_OK, in->ticks);
	} else if (is_fatal(in)) {
		uint8_t count = handshake_states(h);

		h->failed_state = count ? TLSTALL_STATE_ID(h->states[count - 1]) : in->state;
		handshake_end(h, TLSTALL_OUTCOME_FAILED, in->ticks);
	}
	h->state = in->state;
	return h->outcome;
}

void handshake_left(struct tlstall_handshake *h, uint64_t ticks)
{
	h->flags |= TLSTALL_HS_LEFT;
	h->in_call += ticks - h->enter;
	h->leave = ticks;
	__atomic_store_n(&h->enter, 0, __ATOMIC_RELEASE);
}

bool handshake_give_up(struct tlstall_handshake *h, uint64_t ticks)
{
	if (h->outcome != TLSTALL_OUTCOME_IN_FLIGHT)
		return false;
	h->enter = 0;
	handshake_end(h, TLSTALL_OUTCOME_ABANDONED, ticks);
	return true;
}

void handshake_alert(struct tlstall_handshake *h, bool by_peer, uint8_t level, uint8_t description,
		     uint64_t ticks, uint64_t ticks_per_ms)
{
	uint64_t ms = ticks_per_ms ? ticks_per_ms : 1;
	uint8_t count = __atomic_load_n(&h->alert_count, __ATOMIC_RELAXED);
	struct tlstall_alert *alert;

	if (count >= sizeof(h->alerts) / sizeof(h->alerts[0]))
		return;
	alert = &h->alerts[count];
	h->alert_count = (uint8_t)(count + 1);
	alert->at_us = (uint32_t)least((ticks - h->start) * 1000 / ms, UINT32_MAX);
	alert->by_peer = by_peer;
	alert->level = level;
	alert->description = description;
}
