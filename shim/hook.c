/* SPDX-License-Identifier: Apache-2.0 */
#include "hook.h"

#include <errno.h>

#include "callback.h"
#include "guard.h"
#include "mapping.h"
#include "stack.h"

/* ---- the program's callback, in ex_data, which SSL_dup copies -------------------- */

/* Function pointers and void * have the same representation wherever dlsym() exists. */
union callback {
	info_callback *function;
	void *data;
};

static info_callback *of_ctx(const struct libssl *lib, const SSL_CTX *ctx)
{
	union callback callback = {NULL};

	if (lib->ssl_index >= 0)
		callback.data = lib->SSL_CTX_get_ex_data(ctx, lib->ctx_index);
	return callback.function;
}

static info_callback *of_ssl(const struct libssl *lib, const SSL *ssl)
{
	union callback callback = {NULL};

	if (lib->callback_index >= 0 && track_has_our_data(lib, ssl))
		callback.data = lib->SSL_get_ex_data(ssl, lib->callback_index);
	return callback.function;
}

static void expect_callbacks(const struct libssl *lib)
{
	((struct libssl *)lib)->has_callbacks = true;
}

static bool keep_of_ctx(const struct libssl *lib, SSL_CTX *ctx, info_callback *function)
{
	union callback callback = {function};

	if (!track_register(lib))
		return false;
	expect_callbacks(lib);
	return lib->SSL_CTX_set_ex_data(ctx, lib->ctx_index, callback.data);
}

static bool keep_of_ssl(const struct libssl *lib, const SSL *ssl, info_callback *function)
{
	union callback callback = {function};

	if (!track_register(lib) || !track_may_keep(lib, ssl) || !track_register_callback(lib))
		return false;
	expect_callbacks(lib);
	return lib->SSL_set_ex_data((SSL *)ssl, lib->callback_index, callback.data);
}

/* ---- our callback ---------------------------------------------------------------- */

static void on_info(const SSL *ssl, int where, int ret);

/* A context that was made without the shim's knowledge has the program's callback itself. */
static info_callback *called_for_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	info_callback *real = lib->real.SSL_CTX_get_info_callback(ctx);

	return real == on_info ? of_ctx(lib, ctx) : real;
}

/* The callback that OpenSSL would have called: the SSL's own, else its context's. */
static info_callback *program_callback(const struct libssl *lib, const SSL *ssl)
{
	info_callback *own = NULL;

	if (!lib->has_callbacks)
		return NULL;
	/* cheaper to ask than ex_data, and most programs set one only on the context */
	if (lib->real.SSL_get_info_callback(ssl) == on_info)
		own = of_ssl(lib, ssl);
	return own ? own : called_for_ctx(lib, lib->SSL_get_SSL_CTX(ssl));
}

/*
 * A program can get our callback from a getter that we do not interpose, and call it from its own
 * callback: endless recursion. That shows as frames inside each other with the same event.
 */
struct place {
	const SSL *ssl;
	int where;
	unsigned depth;
	uintptr_t frame;
};
/* The innermost call of the program's callback. */
static __thread struct place innermost;

static struct place place_of(const SSL *ssl, int where)
{
	struct place place = {ssl, where, 0, (uintptr_t)__builtin_frame_address(0)};

	/* a callback that was left by longjmp does not make the next frame deeper */
	if (innermost.ssl == ssl && innermost.where == where && place.frame < innermost.frame)
		place.depth = innermost.depth + 1;
	return place;
}

static void chain(info_callback *program, const SSL *ssl, int where, int ret)
{
	struct place outer = innermost, place = place_of(ssl, where);

	if (place.depth > 8)
		return;
	innermost = place;
	program(ssl, where, ret);
	/* the next callback, even of a deeper op, is not inside this one */
	innermost = outer;
}

/* Detached: objects that still have our callback get the program's back. */
static bool left;

void hook_let_go(bool go)
{
	__atomic_store_n(&left, go, __ATOMIC_RELEASE);
}

/* After switching off, a handshake in flight is still followed to its end. */
static bool is_wanted(const struct track *track)
{
	return mapping.header && !__atomic_load_n(&left, __ATOMIC_ACQUIRE) &&
	       (control->mode != TLSTALL_MODE_OFF || (track && track_phase(track) == PHASE_RUNNING));
}

/* Nothing is kept of a context without our callback: the program may give it another one. */
static void unhook_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	info_callback *kept = of_ctx(lib, ctx);

	if (lib->real.SSL_CTX_get_info_callback(ctx) != on_info)
		return;
	lib->real.SSL_CTX_set_info_callback(ctx, kept);
	if (kept)
		lib->SSL_CTX_set_ex_data(ctx, lib->ctx_index, NULL);
}

static __attribute__((noinline)) void unhook(const struct libssl *lib, const SSL *ssl)
{
	unhook_ctx(lib, lib->SSL_get_SSL_CTX(ssl));
	if (lib->real.SSL_get_info_callback(ssl) == on_info)
		lib->real.SSL_set_info_callback((SSL *)ssl, of_ssl(lib, ssl));
}

static void note(const struct libssl *lib, const SSL *ssl, int where, int ret)
{
	struct track *track = track_get(lib, ssl);
	int saved = errno;

	if (!is_wanted(track))
		return;
	guard_enter();
	if (!track || !callback_is_usual(track, where))
		callback_info(lib, ssl, where, ret);
	else if (where & SSL_CB_LOOP)
		callback_state(track, ssl);
	guard_leave();
	errno = saved;
}

static void call_program(const struct libssl *lib, const SSL *ssl, int where, int ret)
{
	info_callback *program = program_callback(lib, ssl);

	if (program && program != on_info)
		chain(program, ssl, where, ret);
}

static __attribute__((noinline)) void note_and_chain(const SSL *ssl, int where, int ret)
{
	const struct libssl *lib = libssl_of(ssl);

	if (lib->foreign)
		return;
	if (__builtin_expect(__atomic_load_n(&left, __ATOMIC_ACQUIRE), 0))
		unhook(lib, ssl);
	note(lib, ssl, where, ret);
	call_program(lib, ssl, where, ret);
}

/* The same in the usual case. */
static __attribute__((noinline)) void state_and_chain(const struct track *track, const SSL *ssl,
						      int where, int ret)
{
	if (__builtin_expect(__atomic_load_n(&left, __ATOMIC_ACQUIRE), 0)) {
		note_and_chain(ssl, where, ret);
		return;
	}
	if (where & SSL_CB_LOOP)
		callback_state(track, ssl);
	call_program(track->lib, ssl, where, ret);
}

/* Usually the next state of a handshake that an op drives. */
static void on_info(const SSL *ssl, int where, int ret)
{
	struct track *track = track_near(ssl);

	/* every path ends in a jump, so no register is saved across a call */
	if (!track || !callback_is_usual(track, where))
		note_and_chain(ssl, where, ret);
	else if (track->lib->has_callbacks)
		state_and_chain(track, ssl, where, ret);
	else if (where & SSL_CB_LOOP)
		callback_state(track, ssl);
}

void hook_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	if (!ctx || lib->foreign || !track_end_ctx(lib, ctx))
		return;
	/* make the file now, before a chroot or a change of user */
	if (!mapping_open() || !track_register(lib))
		return;
	guard_enter();
	stack_prepare();
	guard_leave();
	lib->real.SSL_CTX_set_info_callback(ctx, on_info);
}

void hook_ssl(const struct libssl *lib, const SSL *ssl)
{
	SSL_CTX *ctx = lib->SSL_get_SSL_CTX(ssl);
	info_callback *ctx_has = lib->real.SSL_CTX_get_info_callback(ctx);
	info_callback *ssl_has = lib->real.SSL_get_info_callback(ssl);

	if (ctx_has == on_info || ssl_has == on_info)
		return;
	if (ctx_has)
		expect_callbacks(lib);
	if (!ssl_has || keep_of_ssl(lib, ssl, ssl_has))
		lib->real.SSL_set_info_callback((SSL *)ssl, on_info);
}

void hook_set_ctx(const struct libssl *lib, SSL_CTX *ctx, info_callback *callback)
{
	bool kept = !lib->foreign && lib->real.SSL_CTX_get_info_callback(ctx) == on_info &&
		    keep_of_ctx(lib, ctx, callback);

	if (callback && !lib->foreign)
		expect_callbacks(lib);
	lib->SSL_CTX_set_info_callback(ctx, kept ? on_info : callback);
}

info_callback *hook_get_ctx(const struct libssl *lib, SSL_CTX *ctx)
{
	info_callback *real = lib->SSL_CTX_get_info_callback(ctx);

	return real == on_info ? of_ctx(lib, ctx) : real;
}

void hook_set_ssl(const struct libssl *lib, SSL *ssl, info_callback *callback)
{
	bool kept = !lib->foreign && mapping.header && keep_of_ssl(lib, ssl, callback);

	lib->SSL_set_info_callback(ssl, kept && callback ? on_info : callback);
}

info_callback *hook_get_ssl(const struct libssl *lib, const SSL *ssl)
{
	info_callback *real = lib->SSL_get_info_callback(ssl);

	return !lib->foreign && real == on_info ? of_ssl(lib, ssl) : real;
}
