/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bookkeeping of one handshake: values in, record updated. Includes no OpenSSL header and makes
 * no system calls, so that it can be tested alone. Times are in ticks unless the name says
 * otherwise.
 */
#ifndef SHIM_HANDSHAKE_H
#define SHIM_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "tlstall/vocabulary.h"

struct handshake_enter {
	uint64_t ticks;
	uint64_t ticks_per_ms;
	uint32_t tid;
	uint32_t stale_error; /* head of the error queue */
	uint8_t function;
	const struct tlstall_socket *socket; /* NULL: not asked */
	bool gap_cpu_known;
	uint64_t gap_cpu_ns;
};

struct handshake_leave {
	uint64_t ticks;
	uint64_t cpu_ns;
	uint64_t fatal_cpu_ns; /* CPU time of the thread since the handshake failed */
	uint64_t bytes_in, bytes_out; /* since the handshake's start */
	int32_t ret;
	uint32_t ossl_error;
	uint32_t pending_in, pending_out;
	uint8_t function, error, error_number, state;
	bool finished; /* SSL_is_init_finished() */
};

void handshake_enter(struct tlstall_handshake *h, const struct handshake_enter *in);

/* Whether the kernel knows the transport that the last op waits for. */
static inline bool handshake_kernel_knows(const struct tlstall_handshake *h)
{
	return tlstall_has_descriptor(h->last_error == TLSTALL_ERROR_WANT_WRITE ? &h->write : &h->read);
}

/* handshake_enter() without the kernel and the error queue. */
static inline void handshake_enter_quick(struct tlstall_handshake *h, uint64_t ticks, uint32_t tid,
					 uint8_t function)
{
	uint64_t gap = h->calls && ticks > h->leave ? ticks - h->leave : 0;

	if (h->enter && h->tid != tid)
		h->flags |= TLSTALL_HS_OVERLAP;
	if (handshake_kernel_knows(h) && tlstall_is_retry(h->last_error))
		h->gap_waiting += gap;
	else
		h->gap_unknown += gap;
	if (gap > h->longest_gap) {
		h->longest_gap = gap;
		h->longest_gap_start = h->leave;
		h->longest_gap_want = h->last_error;
	}
	h->tid = tid;
	h->in_call_function = function;
	__atomic_store_n(&h->enter, ticks, __ATOMIC_RELEASE);
}

/* Counts equal results in a row with no byte or state in between: many of them are a spin. */
static inline void handshake_account_run(struct tlstall_handshake *h, const struct handshake_leave *in, bool moved)
{
	if (moved || !h->calls || in->error != h->last_error || in->state != h->state) {
		h->run = 0;
		h->run_start = in->ticks;
	}
	h->run++;
	if (h->run > h->longest_run) {
		h->longest_run = h->run;
		h->longest_run_error = in->error;
	}
}

static inline void handshake_account_call(struct tlstall_handshake *h, const struct handshake_leave *in)
{
	uint64_t duration = in->ticks > h->enter ? in->ticks - h->enter : 0;

	h->in_call += duration;
	h->cpu_ns += in->cpu_ns;
	if (duration > h->longest_call) {
		h->longest_call = duration;
		h->longest_call_start = h->enter;
		h->longest_call_function = in->function;
	}
	if (h->calls++)
		h->retries++;
	else
		h->first_flight = (uint32_t)in->bytes_out;
	if (in->error == TLSTALL_ERROR_WANT_READ)
		h->want_read++;
	else if (in->error == TLSTALL_ERROR_WANT_WRITE)
		h->want_write++;
	else if (tlstall_is_retry(in->error))
		h->want_other++;
}

/* What every call that returned adds, whatever came of it. */
static inline void handshake_take(struct tlstall_handshake *h, const struct handshake_leave *in)
{
	bool moved = in->bytes_in != h->bytes_in || in->bytes_out != h->bytes_out ||
		     h->progress > h->enter;

	if (moved || in->state != h->state)
		h->progress = in->ticks;
	handshake_account_run(h, in, moved);
	handshake_account_call(h, in);
	h->bytes_in = in->bytes_in;
	h->bytes_out = in->bytes_out;
	h->pending_in = in->pending_in;
	h->pending_out = in->pending_out;
	h->last_ret = in->ret;
	h->last_error = in->error;
	h->last_errno = in->error_number;
	h->last_function = in->function;
	h->ossl_error = in->ossl_error;
	h->leave = in->ticks;
	__atomic_store_n(&h->enter, 0, __ATOMIC_RELEASE);
}

static inline void handshake_end(struct tlstall_handshake *h, enum tlstall_outcome outcome, uint64_t ticks)
{
	h->outcome = (uint8_t)outcome;
	h->end = ticks;
}

/* Returns the outcome; TLSTALL_OUTCOME_IN_FLIGHT: the program must call again. */
enum tlstall_outcome handshake_leave(struct tlstall_handshake *h, const struct handshake_leave *in);
/* The op in flight never returns: longjmp, or the end of its thread. */
void handshake_left(struct tlstall_handshake *h, uint64_t ticks);
/* SSL_free, SSL_clear or a new handshake. Returns true if that ended it. */
bool handshake_give_up(struct tlstall_handshake *h, uint64_t ticks);

/* The number of them. Other processes may overwrite the count: it is read once, and bounded. */
static inline uint8_t handshake_states(const struct tlstall_handshake *h)
{
	uint8_t count = __atomic_load_n(&h->state_count, __ATOMIC_RELAXED);

	return count < TLSTALL_STATES ? count : TLSTALL_STATES;
}

/* A state was completed. */
static inline void handshake_state(struct tlstall_handshake *h, uint8_t state, uint64_t ticks)
{
	uint8_t count = handshake_states(h);
	uint8_t at = count < TLSTALL_STATES ? count : TLSTALL_STATES - 1;

	h->states[at] = (uint64_t)state << 56 | TLSTALL_STATE_TICKS(ticks - h->start);
	h->state_count = (uint8_t)(at + 1);
	h->state = state;
	h->progress = ticks;
}

void handshake_alert(struct tlstall_handshake *h, bool by_peer, uint8_t level, uint8_t description,
		     uint64_t ticks, uint64_t ticks_per_ms);

#endif
