/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Around every real call: enter and leave. Here are the errno guard, nesting,
 * the clock, and the decision what is looked at. Dormant, a call costs finding
 * its libssl, a load and a branch.
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
	uintptr_t frame, from; /* of the wrapper: its frame and return address */
	uint64_t ticks;
	uint64_t cpu_ns; /* thread CPU time at entry, when cpu_known */
	uint32_t stale_error;
	uint8_t function; /* enum function_id */
	bool active;	  /* something is to be recorded at the return */
	bool cpu_known;
};

/* The slow halves; see the inline ones below. */
void call_begin(struct call *call);
void call_end(struct call *call, int ret);
void call_get_error(const struct libssl *lib, const SSL *ssl, int ret, int answer);

static inline __attribute__((always_inline)) struct call call_enter(const SSL *ssl, enum function_id function)
{
	struct call call = {
		.lib = libssl_of(ssl),
		.ssl = ssl,
		.frame = (uintptr_t)__builtin_frame_address(0),
		.from = (uintptr_t)__builtin_return_address(0),
		.function = (uint8_t)function,
	};

	if (control->mode != TLSTALL_MODE_OFF)
		call_begin(&call);
	return call;
}

static inline int call_leave(struct call *call, int ret)
{
	if (call->active)
		call_end(call, ret);
	return ret;
}

/* The object of this thread's last op. */
extern __thread const SSL *call_last_op;

/* From the info callback. */
void call_info(const struct libssl *lib, const SSL *ssl, int where, int ret);
/* An op that is known by what the info callback said of it alone. */
void call_internal(struct track *track, const SSL *ssl, int ret);

#endif
