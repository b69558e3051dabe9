/* SPDX-License-Identifier: Apache-2.0 */
/* Which calls of a thread are inside others, and which never return. */
#ifndef SHIM_NESTING_H
#define SHIM_NESTING_H

#include "call.h"
#include "elf.h"
#include "mapping.h"

/*
 * Up to OpenSSL 3.5, SSL_connect calls SSL_do_handshake through its PLT: this is one op. Such a
 * call returns into libssl, or, by a tail call, into the shim. A call from a callback of the
 * program is deeper on the same stack. After a longjmp out of a callback the mark remains, but the
 * next op is not deeper. Addresses are only compared, never followed.
 */
static inline bool nesting_is_from_libssl(const struct call *call)
{
	return call->from - call->lib->start < call->lib->size || elf_is_own(call->from);
}

/* The TLS inside a QUIC connection: libssl's own object, on a BIO without a transport. */
static inline bool nesting_is_inside_quic(const struct call *call)
{
	BIO *bio = call->lib->SSL_is_quic ? call->lib->SSL_get_rbio(call->ssl) : NULL;

	return bio && call->lib->BIO_method_type(bio) == BIO_TYPE_NULL;
}

static inline bool nesting_is_nested(const struct call *call)
{
	const struct track *track = call->track;

	if (nesting_is_from_libssl(call) && (track_is_inside(track) || nesting_is_inside_quic(call)))
		return true;
	return track_is_inside(track) && track->in_tid == mapping_tid() &&
	       (uintptr_t)call < track_frame(track);
}

/* ---- calls that never return: longjmp --------------------------------------------- */

/*
 * If a call of a thread is no deeper on the stack than the thread's innermost op, that op was left.
 * Stacks of coroutines may be next to each other, so the call may be on another one: then the op does
 * return in the end, and the mark is taken back.
 */
#define NESTING_NEAR (256u << 10)

extern __thread struct inside nesting_inside __attribute__((visibility("hidden")));

static inline bool nesting_is_left(const struct call *call)
{
	uintptr_t frame = (uintptr_t)call;

	return nesting_inside.frame && frame >= nesting_inside.frame && frame - nesting_inside.frame < NESTING_NEAR;
}

void nesting_note_left(void);
void nesting_take_back(const struct call *call);

static inline void nesting_mark(struct call *call, uint32_t tid)
{
	struct track *track = call->track;

	call->outer = nesting_inside;
	nesting_inside.token = track->token;
	nesting_inside.frame = (uintptr_t)call;
	track->in_tid = tid;
	track->in_function = call->function;
	track_set_frame(track, (uintptr_t)call);
}

static inline void nesting_enter(struct call *call)
{
	if (__builtin_expect(nesting_is_left(call), 0))
		nesting_note_left();
	nesting_mark(call, mapping_tid());
}

static inline void nesting_leave(const struct call *call)
{
	if (nesting_inside.frame == (uintptr_t)call)
		nesting_inside = call->outer;
	if (track_frame(call->track) == (uintptr_t)call)
		track_set_frame(call->track, 0);
}

/* It returned: if it was marked as left, that is corrected. */
static inline void nesting_return(const struct call *call)
{
	if (call->slot && __builtin_expect(call->slot->flags & TLSTALL_HS_LEFT, 0))
		nesting_take_back(call);
}

#endif
