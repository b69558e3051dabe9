/* SPDX-License-Identifier: Apache-2.0 */
/* The exported functions, and nothing else. */
#include "call.h"
#include "states.h"

#define EXPORT __attribute__((visibility("default")))

/* Where the program called us from. */
#define CALLER ((uintptr_t)__builtin_return_address(0))

/*
 * What records: one function for each shape of real ones. Apart from the wrappers, so
 * that these need no frame of their own and jump to the real function.
 */
#define RECORDED static __attribute__((noinline)) int

RECORDED record_op(SSL *ssl, enum function_id id, uintptr_t from)
{
	const struct libssl *lib = libssl_of(ssl);
	__typeof__(&SSL_connect) real = libssl_op(lib, id);
	struct call call;

	if (!call_begin(&call, lib, ssl, id, from))
		return real(ssl);
	return call_leave(&call, real(ssl));
}

RECORDED record_read(SSL *ssl, void *buf, int num, enum function_id id, uintptr_t from)
{
	const struct libssl *lib = libssl_of(ssl);
	__typeof__(&SSL_read) real = libssl_read(lib, id);
	struct call call;

	if (!call_begin(&call, lib, ssl, id, from))
		return real(ssl, buf, num);
	return call_leave(&call, real(ssl, buf, num));
}

RECORDED record_write(SSL *ssl, const void *buf, int num, enum function_id id, uintptr_t from)
{
	const struct libssl *lib = libssl_of(ssl);
	__typeof__(&SSL_write) real = libssl_write(lib, id);
	struct call call;

	if (!call_begin(&call, lib, ssl, id, from))
		return real(ssl, buf, num);
	return call_leave(&call, real(ssl, buf, num));
}

RECORDED record_read_ex(SSL *ssl, void *buf, size_t num, size_t *readbytes, enum function_id id,
			uintptr_t from)
{
	const struct libssl *lib = libssl_of(ssl);
	__typeof__(&SSL_read_ex) real = libssl_read_ex(lib, id);
	struct call call;

	if (!call_begin(&call, lib, ssl, id, from))
		return real(ssl, buf, num, readbytes);
	return call_leave(&call, real(ssl, buf, num, readbytes));
}

RECORDED record_write_ex(SSL *ssl, const void *buf, size_t num, size_t *written,
			 enum function_id id, uintptr_t from)
{
	const struct libssl *lib = libssl_of(ssl);
	__typeof__(&SSL_write_ex) real = libssl_write_ex(lib, id);
	struct call call;

	if (!call_begin(&call, lib, ssl, id, from))
		return real(ssl, buf, num, written);
	return call_leave(&call, real(ssl, buf, num, written));
}

EXPORT int SSL_connect(SSL *ssl)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_connect);

	return lib ? lib->SSL_connect(ssl) : record_op(ssl, FN_SSL_connect, CALLER);
}

EXPORT int SSL_accept(SSL *ssl)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_accept);

	return lib ? lib->SSL_accept(ssl) : record_op(ssl, FN_SSL_accept, CALLER);
}

EXPORT int SSL_do_handshake(SSL *ssl)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_do_handshake);

	return lib ? lib->SSL_do_handshake(ssl) : record_op(ssl, FN_SSL_do_handshake, CALLER);
}

EXPORT int SSL_read(SSL *ssl, void *buf, int num)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_read);

	return lib ? lib->SSL_read(ssl, buf, num) : record_read(ssl, buf, num, FN_SSL_read, CALLER);
}

EXPORT int SSL_read_ex(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_read_ex);

	return lib ? lib->SSL_read_ex(ssl, buf, num, readbytes)
		   : record_read_ex(ssl, buf, num, readbytes, FN_SSL_read_ex, CALLER);
}

EXPORT int SSL_peek(SSL *ssl, void *buf, int num)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_peek);

	return lib ? lib->SSL_peek(ssl, buf, num) : record_read(ssl, buf, num, FN_SSL_peek, CALLER);
}

EXPORT int SSL_peek_ex(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_peek_ex);

	return lib ? lib->SSL_peek_ex(ssl, buf, num, readbytes)
		   : record_read_ex(ssl, buf, num, readbytes, FN_SSL_peek_ex, CALLER);
}

EXPORT int SSL_read_early_data(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_read_early_data);

	return lib ? lib->SSL_read_early_data(ssl, buf, num, readbytes)
		   : record_read_ex(ssl, buf, num, readbytes, FN_SSL_read_early_data, CALLER);
}

EXPORT int SSL_write(SSL *ssl, const void *buf, int num)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_write);

	return lib ? lib->SSL_write(ssl, buf, num)
		   : record_write(ssl, buf, num, FN_SSL_write, CALLER);
}

EXPORT int SSL_write_ex(SSL *ssl, const void *buf, size_t num, size_t *written)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_write_ex);

	return lib ? lib->SSL_write_ex(ssl, buf, num, written)
		   : record_write_ex(ssl, buf, num, written, FN_SSL_write_ex, CALLER);
}

EXPORT int SSL_write_early_data(SSL *ssl, const void *buf, size_t num, size_t *written)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_write_early_data);

	return lib ? lib->SSL_write_early_data(ssl, buf, num, written)
		   : record_write_ex(ssl, buf, num, written, FN_SSL_write_early_data, CALLER);
}

EXPORT int SSL_shutdown(SSL *ssl)
{
	const struct libssl *lib = call_forward(ssl, FN_SSL_shutdown);

	return lib ? lib->SSL_shutdown(ssl) : record_op(ssl, FN_SSL_shutdown, CALLER);
}

EXPORT int SSL_get_error(const SSL *ssl, int ret)
{
	const struct libssl *lib = libssl_first(ssl);

	if (lib && control->mode != TLSTALL_MODE_ALL)
		return lib->SSL_get_error(ssl, ret);
	return call_get_error(ssl, ret);
}

EXPORT SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
{
	const struct libssl *lib = libssl_of_method(method);
	SSL_CTX *ctx = lib->SSL_CTX_new(method);

	states_hook_ctx(lib, ctx);
	return ctx;
}

EXPORT SSL_CTX *SSL_CTX_new_ex(OSSL_LIB_CTX *libctx, const char *propq, const SSL_METHOD *method)
{
	const struct libssl *lib = libssl_of_method(method);
	SSL_CTX *ctx = lib->SSL_CTX_new_ex(libctx, propq, method);

	states_hook_ctx(lib, ctx);
	return ctx;
}

EXPORT void SSL_CTX_set_info_callback(SSL_CTX *ctx, info_callback *callback)
{
	states_set_ctx(libssl_of(ctx), ctx, callback);
}

EXPORT info_callback *SSL_CTX_get_info_callback(SSL_CTX *ctx)
{
	return states_get_ctx(libssl_of(ctx), ctx);
}

EXPORT void SSL_set_info_callback(SSL *ssl, info_callback *callback)
{
	states_set_ssl(libssl_of(ssl), ssl, callback);
}

EXPORT info_callback *SSL_get_info_callback(const SSL *ssl)
{
	return states_get_ssl(libssl_of(ssl), ssl);
}
