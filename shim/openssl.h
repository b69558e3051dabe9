/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's own declarations, for the types of functions that are called through pointers. Nothing
 * is linked; deprecated functions (BIO_get_callback) are needed.
 */
#ifndef SHIM_OPENSSL_H
#define SHIM_OPENSSL_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

typedef void info_callback(const SSL *ssl, int where, int ret);

/* Newer than the oldest supported headers. */
SSL *SSL_get0_connection(SSL *ssl);
int SSL_is_quic(const SSL *ssl);
int SSL_get_signature_type_nid(const SSL *ssl, int *nid);

/* Some of these are macros in one version and functions in another. */
#undef SSL_CTX_set_info_callback
#undef SSL_set_info_callback

/* Names that OpenSSL 3.0 dropped, and their replacements. */
#undef EVP_PKEY_base_id
#undef EVP_PKEY_bits
int EVP_PKEY_base_id(const EVP_PKEY *key);
int EVP_PKEY_bits(const EVP_PKEY *key);
int EVP_PKEY_get_base_id(const EVP_PKEY *key);
int EVP_PKEY_get_bits(const EVP_PKEY *key);

#endif
