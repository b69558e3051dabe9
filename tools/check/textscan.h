/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the constant strings of a program show about the TLS that is linked into it, or that it
 * looks up at run time. One fast pass over many megabytes.
 */
#ifndef TOOLS_CHECK_TEXTSCAN_H
#define TOOLS_CHECK_TEXTSCAN_H

#include <stddef.h>
#include <stdint.h>

#include "check/object.h"

/* X(IDENTIFIER, text): at least TEXTSCAN_MIN bytes. */
#define TEXTSCAN_MIN 6
#define TEXTSCAN_PATTERNS(X) \
	X(OPENSSL_VERSION, "OpenSSL ")		/* and a number */ \
	X(LIBSSL_SOURCE, "ssl/statem/statem")	/* file names in libssl's errors */ \
	X(LIBSSL_SOURCE_OLD, "ssl/ssl_lib.c")	/* of BoringSSL, LibreSSL and 1.0 too */ \
	X(SSL_CONNECT, "SSL_connect")		/* as a word of its own */ \
	X(SSL_ACCEPT, "SSL_accept") \
	X(SSL_DO_HANDSHAKE, "SSL_do_handshake") \
	X(LIBSSL_NAME, "libssl.so") \
	X(BORINGSSL, "boringssl/src") \
	X(BORINGSSL_NAME, "BoringSSL") \
	X(LIBRESSL, "LibreSSL ") \
	X(GO_TLS, "crypto/tls.(*Conn)") \
	X(RUSTLS, "rustls-") \
	X(RUSTLS_SOURCE, "rustls/src") \
	X(MBEDTLS, "mbedtls_ssl") \
	X(MBEDTLS_NAME, "Mbed TLS ") \
	X(MBEDTLS_OLD, "mbed TLS ") \
	X(WOLFSSL, "wolfSSL ") \
	X(GNUTLS, "gnutls_handshake")

enum textscan_pattern {
#define TEXTSCAN_ID(id, text) TEXT_##id,
	TEXTSCAN_PATTERNS(TEXTSCAN_ID)
#undef TEXTSCAN_ID
		TEXTSCAN_COUNT
};

#define TEXT_BIT(id) (1u << TEXT_##id)

struct textscan {
	uint32_t found;	     /* TEXT_BIT() each */
	char openssl[48];    /* "OpenSSL 3.0.15+quic 3 Sep 2024", "" when there is none */
	uint64_t bytes_left; /* budget: no more than these are read */
	uint32_t enough;     /* with one of these and a version of OpenSSL the rest is not read; 0: all */
};

/*
 * Adds what the constants of an open file hold. A file that ends early is read as far as it goes.
 * Both return 0 or -ENOMEM.
 */
int textscan_file(int fd, const struct object *object, struct textscan *scan);
int textscan_bytes(const void *bytes, size_t size, struct textscan *scan);

#endif
