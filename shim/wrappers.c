/* SPDX-License-Identifier: Apache-2.0 */
/* The exported functions: most are generated from functions.def, by shape. */
#include "wrappers.h"

#include <string.h>

#include "attempt.h"
#include "call.h"
#include "chain.h"
#include "chained.h"
#include "get_error.h"
#include "hook.h"
#include "shapes.h"

#define EXPORT __attribute__((visibility("default")))

#define LIST(...) __VA_ARGS__
/* The program's return address. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

/*
 * Recording is in a separate function, so that the exported one needs no frame and jumps to the
 * real one. OpenSSL's header declares it: a different signature is an error.
 */
#define WRAPPER(name, parameters, arguments)                                                       \
	static __attribute__((noinline)) int record_##name(LIST parameters, uintptr_t from)        \
	{                                                                                          \
		const struct libssl *lib = libssl_of(ssl);                                         \
		struct call call;                                                                  \
                                                                                                   \
		if (!call_begin(&call, lib, ssl, FN_##name, from))                                 \
			return lib->name arguments;                                                \
		return call_leave(&call, lib->name arguments);                                     \
	}                                                                                          \
	EXPORT int name parameters                                                                 \
	{                                                                                          \
		const struct libssl *lib = call_forward(ssl, FN_##name);                           \
                                                                                                   \
		return lib ? lib->name arguments : record_##name(LIST arguments, CALLER);          \
	}
#define INTERPOSED(name, kind, shape, ...) SHAPE_##shape(WRAPPER, name)
#include "functions.def"

EXPORT int SSL_get_error(const SSL *ssl, int ret)
{
	const struct libssl *lib = libssl_first(ssl);

	if (lib && control->mode < TLSTALL_MODE_ALL)
		return lib->SSL_get_error(ssl, ret);
	return get_error_ask(ssl, ret);
}

/* DTLSv1_handle_timeout is a macro. */
EXPORT long SSL_ctrl(SSL *ssl, int cmd, long larg, void *parg)
{
	const struct libssl *lib = libssl_of(ssl);
	long ret = lib->SSL_ctrl(ssl, cmd, larg, parg);

	if (cmd == DTLS_CTRL_HANDLE_TIMEOUT && !lib->foreign)
		attempt_timer(track_get(lib, ssl), ret > 0);
	return ret;
}

EXPORT SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
	const struct libssl *lib = libssl_of_method(method);
	SSL_CTX *ctx;

	track_begin_ctx(lib);
	ctx = lib->SSL_CTX_new(method);
	hook_ctx(lib, ctx);
	return ctx;
}

EXPORT SSL_CTX *SSL_CTX_new_ex(OSSL_LIB_CTX *libctx, const char *propq, const SSL_METHOD *method)
{
	const struct libssl *lib = libssl_of_method(method);
	SSL_CTX *ctx;

	track_begin_ctx(lib);
	ctx = lib->SSL_CTX_new_ex(libctx, propq, method);
	hook_ctx(lib, ctx);
	return ctx;
}

EXPORT void SSL_CTX_set_info_callback(SSL_CTX *ctx, info_callback *callback)
{
	hook_set_ctx(libssl_of(ctx), ctx, callback);
}

EXPORT info_callback *SSL_CTX_get_info_callback(SSL_CTX *ctx)
{
	return hook_get_ctx(libssl_of(ctx), ctx);
}

EXPORT void SSL_set_info_callback(SSL *ssl, info_callback *callback)
{
	hook_set_ssl(libssl_of(ssl), ssl, callback);
}

EXPORT info_callback *SSL_get_info_callback(const SSL *ssl)
{
	return hook_get_ssl(libssl_of(ssl), ssl);
}

/* ---- calls that bypassed other libraries that wrap the same functions: see chain.h ------ */

#define OF_OBJECT libssl_of
#define OF_METHOD libssl_of_method

#define PASSING(type, name, by, object, parameters, arguments)                                     \
	static type passing_##name parameters                                                      \
	{                                                                                          \
		if (OF_##by(object)->name == chained.name)                                         \
			chain_pass(FN_##name);                                                     \
		return name arguments;                                                             \
	}
#define PASSING_OP(name, parameters, arguments)                                                    \
	PASSING(int, name, OBJECT, ssl, parameters, arguments)
#define INTERPOSED(name, kind, shape, ...) SHAPE_##shape(PASSING_OP, name)
#include "functions.def"
SHAPES_OWN(PASSING)

/* Separate from the addresses, which the loader writes. */
static const char names[][28] = {
#define INTERPOSED(name, ...) #name,
#include "functions.def"
};
#define NAMES (sizeof(names) / sizeof(names[0]))

static const struct {
	void *exported, *passing;
} table[NAMES] = {
#define INTERPOSED(name, ...) {(void *)name, (void *)passing_##name},
#include "functions.def"
};
static const uint16_t offsets[NAMES] = {
#define INTERPOSED(name, ...) offsetof(struct functions, name),
#include "functions.def"
};

static const void *next_of(size_t i)
{
	const void *next;

	memcpy(&next, (const char *)&chain_next + offsets[i], sizeof(next));
	return next;
}

void *wrapper_of(const char *name, const void *found)
{
	if (strncmp(name, "SSL_", 4) && strncmp(name, "DTLS", 4))
		return NULL;
	for (size_t i = 0; i < NAMES; i++) {
		if (strcmp(names[i], name))
			continue;
		if (!found || !next_of(i) || found == next_of(i))
			return table[i].exported;
		return table[i].passing;
	}
	return NULL;
}

bool wrapper_follows(const char *name, const void *found)
{
	for (size_t i = 0; i < NAMES; i++) {
		if (found == next_of(i) && !strcmp(names[i], name))
			return true;
	}
	return false;
}
