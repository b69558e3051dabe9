/* SPDX-License-Identifier: Apache-2.0 */
/* The signatures of the exported OpenSSL functions, for functions.def. */
#ifndef SHIM_SHAPES_H
#define SHIM_SHAPES_H

/* Each with its parameters, and the same as arguments. */
#define SHAPE_SSL(wrapper, name) wrapper(name, (SSL *ssl), (ssl))
#define SHAPE_READ(wrapper, name) wrapper(name, (SSL *ssl, void *buf, int num), (ssl, buf, num))
#define SHAPE_WRITE(wrapper, name)                                                                 \
	wrapper(name, (SSL *ssl, const void *buf, int num), (ssl, buf, num))
#define SHAPE_READ_EX(wrapper, name)                                                               \
	wrapper(name, (SSL *ssl, void *buf, size_t num, size_t *readbytes),                       \
		(ssl, buf, num, readbytes))
#define SHAPE_WRITE_EX(wrapper, name)                                                              \
	wrapper(name, (SSL *ssl, const void *buf, size_t num, size_t *written),                   \
		(ssl, buf, num, written))
#define SHAPE_LISTEN(wrapper, name) wrapper(name, (SSL *ssl, BIO_ADDR *client), (ssl, client))
#define SHAPE_OWN(wrapper, name)

/* Result, the object or method that identifies the copy, then the same. */
#define SHAPES_OWN(wrapper)                                                                        \
	wrapper(int, SSL_get_error, OBJECT, ssl, (const SSL *ssl, int ret), (ssl, ret))            \
	wrapper(long, SSL_ctrl, OBJECT, ssl, (SSL *ssl, int cmd, long larg, void *parg),           \
		(ssl, cmd, larg, parg))                                                            \
	wrapper(SSL_CTX *, SSL_CTX_new, METHOD, method, (const SSL_METHOD *method), (method))      \
	wrapper(SSL_CTX *, SSL_CTX_new_ex, METHOD, method,                                         \
		(OSSL_LIB_CTX * libctx, const char *propq, const SSL_METHOD *method),              \
		(libctx, propq, method))                                                           \
	wrapper(void, SSL_CTX_set_info_callback, OBJECT, ctx,                                      \
		(SSL_CTX * ctx, info_callback *callback), (ctx, callback))                         \
	wrapper(info_callback *, SSL_CTX_get_info_callback, OBJECT, ctx, (SSL_CTX * ctx), (ctx))   \
	wrapper(void, SSL_set_info_callback, OBJECT, ssl, (SSL *ssl, info_callback *callback),     \
		(ssl, callback))                                                                   \
	wrapper(info_callback *, SSL_get_info_callback, OBJECT, ssl, (const SSL *ssl), (ssl))

#endif
