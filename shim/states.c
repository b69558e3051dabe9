/* SPDX-License-Identifier: Apache-2.0 */
#include "states.h"

#include <errno.h>

#include "call.h"
#include "mapping.h"
#include "stack.h"

/* What OpenSSL would have called: the SSL's own callback, else its context's. */
static info_callback *program_callback(const struct libssl *lib, const SSL *ssl,
				       const struct track *track)
{
	if (track && track->callback)
		return track->callback;
	return lib->has_callbacks ? track_ctx_callback(lib, lib->SSL_get_SSL_CTX(ssl)) : NULL;
}

/*
 * A program that got our address from a getter that we do not interpose, and
 * calls it from its own callback, would come round in a circle. Told by ever
 * deeper frames with the same event; a longjmp out of a callback leaves none.
 */
static bool in_circle(const SSL *ssl, int where)
{
	static __thread struct {
		const SSL *ssl;
		int where;
		uintptr_t frame;
		unsigned depth;
	} last;
	uintptr_t frame = (uintptr_t)__builtin_frame_address(0);
	bool deeper = last.ssl == ssl && last.where == where && frame < last.frame;

	last.depth = deeper ? last.depth + 1 : 0;
	last.ssl = ssl;
	last.where = where;
	last.frame = frame;
	return last.depth > 8;
}

/* Switched off in the middle of a handshake, we still follow that to its end. */
static bool is_wanted(const struct track *track)
{
	return mapping.header &&
	       (control->mode != TLSTALL_MODE_OFF || (track && track->phase == PHASE_RUNNING));
}

static void on_info(const SSL *ssl, int where, int ret);

static __attribute__((noinline)) void note_and_chain(const SSL *ssl, int where, int ret, bool noted)
{
	const struct libssl *lib = libssl_of(ssl);
	struct track *track;
	info_callback *program;

	if (lib->foreign)
		return;
	track = track_get(lib, ssl);
	if (!noted && is_wanted(track)) {
		int saved = errno;

		call_info(lib, ssl, where, ret);
		errno = saved;
		track = track_get(lib, ssl);
	}
	program = program_callback(lib, ssl, track);
	if (program && program != on_info && !in_circle(ssl, where))
		program(ssl, where, ret);
}

/* Most often it is the next state of a handshake that an op of ours drives. */
static void on_info(const SSL *ssl, int where, int ret)
{
	struct track *track = track_near(ssl);
	bool noted = track && call_state(track, ssl, where);

	if (!noted || track->callback || track->lib->has_callbacks)
		note_and_chain(ssl, where, ret, noted);
}

void states_hook_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	/* the file is made here, before a chroot or a change of user */
	if (!ctx || lib->foreign || !mapping_open() || !track_register(lib))
		return;
	stack_prepare();
	lib->SSL_CTX_set_info_callback(ctx, on_info);
}

void states_hook_ssl(const struct libssl *lib, const SSL *ssl)
{
	SSL_CTX *ctx = lib->SSL_get_SSL_CTX(ssl);
	info_callback *of_ctx = lib->SSL_CTX_get_info_callback(ctx);
	info_callback *of_ssl = lib->SSL_get_info_callback(ssl);
	struct track *track;

	if (of_ctx == on_info || of_ssl == on_info)
		return;
	track = track_make(lib, ssl);
	if (!track)
		return;
	if (of_ssl || of_ctx)
		track_set_callback(track, ssl, of_ssl ? of_ssl : of_ctx);
	lib->SSL_set_info_callback((SSL *)ssl, on_info);
}

void states_set_ctx(const struct libssl *lib, SSL_CTX *ctx, info_callback *callback)
{
	if (lib->foreign || lib->SSL_CTX_get_info_callback(ctx) != on_info ||
	    !track_set_ctx_callback(lib, ctx, callback))
		lib->SSL_CTX_set_info_callback(ctx, callback);
}

info_callback *states_get_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	info_callback *real = lib->SSL_CTX_get_info_callback(ctx);

	return real == on_info ? track_ctx_callback(lib, ctx) : real;
}

void states_set_ssl(const struct libssl *lib, SSL *ssl, info_callback *callback)
{
	struct track *track = lib->foreign || !mapping.header ? NULL : track_make(lib, ssl);

	if (!track) {
		lib->SSL_set_info_callback(ssl, callback);
		return;
	}
	track_set_callback(track, ssl, callback);
	lib->SSL_set_info_callback(ssl, callback ? on_info : NULL);
}

info_callback *states_get_ssl(const struct libssl *lib, const SSL *ssl)
{
	info_callback *real = lib->SSL_get_info_callback(ssl);
	const struct track *track;

	if (lib->foreign || real != on_info)
		return real;
	track = track_get(lib, ssl);
	return track ? track->callback : NULL;
}
