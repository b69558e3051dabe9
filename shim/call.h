/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Around every real call: enter and leave. Here are the errno guard, nesting,
 * the clock, and the decision what is looked at. Dormant, a call costs finding
 * its libssl, two loads and a branch.
 */
#ifndef SHIM_CALL_H
#define SHIM_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "libssl.h"
#include "mapping.h"
#include "track.h"

struct call {
	const struct libssl *lib;
	const SSL *ssl;
	struct track *track;
	struct tlstall_handshake *slot;
	uintptr_t from; /* where the wrapper returns to */
	uint64_t ticks;
	uint32_t stale_error;
	uint8_t function; /* enum function_id */
};

/* The slow halves; see the inline ones below. */
bool call_enter(struct call *call);
int call_leave(struct call *call, int ret);
/* Asks the real function and records its answer. */
int call_get_error(const SSL *ssl, int ret);

static inline bool call_moves_data(uint8_t function)
{
	return libssl_kind(function) == TLSTALL_KIND_READ ||
	       libssl_kind(function) == TLSTALL_KIND_WRITE;
}

/* Reads and writes of a finished handshake: a look at the phase and no more. */
static inline bool call_is_over(struct track *track, uint8_t function)
{
	if (track->phase != PHASE_DONE &&
	    (track->phase != PHASE_FOLLOWED || libssl_kind(function) != TLSTALL_KIND_WRITE))
		return false;
	track->op_known = false;
	return true;
}

/*
 * Where to forward a call of which nothing is to be recorded, where that is soon seen:
 * when we are dormant, and for reads and writes after the handshake. Else NULL.
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

/* False: nothing is to be recorded. `from` is where the wrapper returns to. */
static inline bool call_begin(struct call *call, const struct libssl *lib, const SSL *ssl,
			      enum function_id function, uintptr_t from)
{
	if (control->mode == TLSTALL_MODE_OFF)
		return false;
	*call = (struct call){.lib = lib, .ssl = ssl, .from = from, .function = (uint8_t)function};
	return call_enter(call);
}

/* The object of this thread's last op. */
extern __thread const SSL *call_last_op;

/* From the info callback: a state of a handshake that an op of ours drives. False: not that. */
bool call_state(struct track *track, const SSL *ssl, int where);
/* From the info callback: all the rest. */
void call_info(const struct libssl *lib, const SSL *ssl, int where, int ret);
/* An op that is known by what the info callback said of it alone. */
void call_internal(struct track *track, const SSL *ssl, int ret);

#endif
