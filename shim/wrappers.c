/* SPDX-License-Identifier: Apache-2.0 */
/* The exported functions, and nothing else. */
#include "call.h"
#include "states.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int SSL_connect(SSL *ssl)
{
	struct call call = call_enter(ssl, FN_SSL_connect);

	return call_leave(&call, call.lib->SSL_connect(ssl));
}

EXPORT int SSL_accept(SSL *ssl)
{
	struct call call = call_enter(ssl, FN_SSL_accept);

	return call_leave(&call, call.lib->SSL_accept(ssl));
}

EXPORT int SSL_do_handshake(SSL *ssl)
{
	struct call call = call_enter(ssl, FN_SSL_do_handshake);

	return call_leave(&call, call.lib->SSL_do_handshake(ssl));
}

EXPORT int SSL_read(SSL *ssl, void *buf, int num)
{
	struct call call = call_enter(ssl, FN_SSL_read);

	return call_leave(&call, call.lib->SSL_read(ssl, buf, num));
}

EXPORT int SSL_read_ex(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	struct call call = call_enter(ssl, FN_SSL_read_ex);

	return call_leave(&call, call.lib->SSL_read_ex(ssl, buf, num, readbytes));
}

EXPORT int SSL_peek(SSL *ssl, void *buf, int num)
{
	struct call call = call_enter(ssl, FN_SSL_peek);

	return call_leave(&call, call.lib->SSL_peek(ssl, buf, num));
}

EXPORT int SSL_peek_ex(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	struct call call = call_enter(ssl, FN_SSL_peek_ex);

	return call_leave(&call, call.lib->SSL_peek_ex(ssl, buf, num, readbytes));
}

EXPORT int SSL_read_early_data(SSL *ssl, void *buf, size_t num, size_t *readbytes)
{
	struct call call = call_enter(ssl, FN_SSL_read_early_data);

	return call_leave(&call, call.lib->SSL_read_early_data(ssl, buf, num, readbytes));
}

EXPORT int SSL_write(SSL *ssl, const void *buf, int num)
{
	struct call call = call_enter(ssl, FN_SSL_write);

	return call_leave(&call, call.lib->SSL_write(ssl, buf, num));
}

EXPORT int SSL_write_ex(SSL *ssl, const void *buf, size_t num, size_t *written)
{
	struct call call = call_enter(ssl, FN_SSL_write_ex);

	return call_leave(&call, call.lib->SSL_write_ex(ssl, buf, num, written));
}

EXPORT int SSL_write_early_data(SSL *ssl, const void *buf, size_t num, size_t *written)
{
	struct call call = call_enter(ssl, FN_SSL_write_early_data);

	return call_leave(&call, call.lib->SSL_write_early_data(ssl, buf, num, written));
}

EXPORT int SSL_shutdown(SSL *ssl)
{
	struct call call = call_enter(ssl, FN_SSL_shutdown);

	return call_leave(&call, call.lib->SSL_shutdown(ssl));
}

EXPORT int SSL_get_error(const SSL *ssl, int ret)
{
	const struct libssl *lib = libssl_of(ssl);
	int answer = lib->SSL_get_error(ssl, ret);

	if (control->mode == TLSTALL_MODE_ALL)
		call_get_error(lib, ssl, ret, answer);
	return answer;
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
