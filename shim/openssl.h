/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's own declarations, for the types of the functions we call through
 * pointers. Nothing is linked; deprecated ones (BIO_get_callback) are wanted.
 */
#ifndef SHIM_OPENSSL_H
#define SHIM_OPENSSL_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

typedef void info_callback(const SSL *ssl, int where, int ret);

/* Newer than the oldest headers that we build with. */
SSL *SSL_get0_connection(SSL *ssl);
int SSL_is_quic(const SSL *ssl);

/* Some of these are macros in one version and functions in another. */
#undef SSL_CTX_set_info_callback
#undef SSL_set_info_callback

#endif
