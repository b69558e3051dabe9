/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frame around every real call: enter and leave. It preserves errno, tracks nesting, reads the
 * clock, and decides what is observed. A dormant call costs finding its libssl, two loads and a
 * branch.
 */
#ifndef SHIM_CALL_H
#define SHIM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "libssl.h"
#include "mapping.h"
#include "tlstall/vocabulary.h"
#include "track.h"

/* The op that a thread is in: its object's track, and its place on the stack. */
struct inside {
	uint64_t token;
	uintptr_t frame; /* 0: none */
};

struct call {
	const struct libssl *lib;
	const SSL *ssl;
	struct track *track;
	struct tlstall_handshake *slot;
	uintptr_t from; /* where the wrapper returns to */
	uint64_t ticks;
	uint32_t stale_error;
	uint8_t function; /* enum function_id */
	bool quick;	  /* may end by watch_leave_again() */
	struct inside outer;
};

/* The slow halves, call.c and leave.c; see the inline ones below. */
bool call_enter(struct call *call);
int call_leave(struct call *call, int ret);

/* As far as we know, such a call waits for the peer. */
static inline bool call_may_block(const struct tlstall_handshake *slot)
{
	return slot->read.blocking && !tlstall_is_in_memory(&slot->read);
}

static inline bool call_moves_data(uint8_t function)
{
	return libssl_kind(function) == TLSTALL_KIND_READ ||
	       libssl_kind(function) == TLSTALL_KIND_WRITE;
}

/* Reads and writes after a finished handshake only check the phase; the first read is observed. */
static inline bool call_is_over(struct track *track, uint8_t function)
{
	bool writes = libssl_kind(function) == TLSTALL_KIND_WRITE;

	if (track_phase(track) < (writes ? PHASE_FOLLOWED : PHASE_DONE))
		return false;
	track->op_known = false;
	return true;
}

/*
 * Where to forward a call that is not recorded, if that is quickly decided: while dormant, and for
 * reads and writes after the handshake. Otherwise NULL.
 */
static inline const struct libssl *call_forward(const SSL *ssl, enum function_id function)
{
	const struct libssl *lib = libssl_first(ssl);
	struct track *track;

	if (__builtin_expect(control->mode == TLSTALL_MODE_OFF, 1))
		return lib;
	if (!lib || !call_moves_data((uint8_t)function))
		return NULL;
	track = track_near(ssl);
	return track && call_is_over(track, (uint8_t)function) ? lib : NULL;
}

/*
 * What libssl calls through its own PLT inside a recorded op: SSL_connect calls SSL_do_handshake.
 */
static inline bool call_is_inner(const struct libssl *lib, const SSL *ssl, uintptr_t from)
{
	const struct track *track = track_near(ssl);

	return track && track_is_inside(track) && from - lib->start < lib->size;
}

/* False: do not record it. `from` is where the wrapper returns to. */
static inline bool call_begin(struct call *call, const struct libssl *lib, const SSL *ssl,
			      enum function_id function, uintptr_t from)
{
	if (control->mode == TLSTALL_MODE_OFF || call_is_inner(lib, ssl, from))
		return false;
	*call = (struct call){.lib = lib, .ssl = ssl, .from = from, .function = (uint8_t)function};
	return call_enter(call);
}

/* The object of this thread's last op. */
extern __thread const SSL *call_last_op __attribute__((visibility("hidden")));

/* What SSL_get_error will be asked about. */
static inline void call_note_op(const struct call *call, int ret, uint32_t error_head)
{
	struct track *track = call->track;

	track->op_tid = mapping_tid();
	track->op_ret = ret;
	track->op_error_head = error_head;
	track->op_known = true;
	call_last_op = call->ssl;
}

/* An op that is known only from the info callback. */
void call_internal(struct track *track, const SSL *ssl, int ret);

#endif
