/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's numbers, for both sides. Neither includes OpenSSL's headers for them:
 * the tool does not need OpenSSL, and the shim's bookkeeping is tested without it.
 * Words for people are the tool's alone (tools/words).
 */
#ifndef TLSTALL_VOCABULARY_H
#define TLSTALL_VOCABULARY_H

#include <stdbool.h>
#include <stdint.h>

#include "tlstall/trace.h"

/* SSL_ERROR_* of openssl/ssl.h; shim/observe.c asserts that they are the same. */
enum tlstall_error {
	TLSTALL_ERROR_NONE,
	TLSTALL_ERROR_SSL,
	TLSTALL_ERROR_WANT_READ,
	TLSTALL_ERROR_WANT_WRITE,
	TLSTALL_ERROR_WANT_X509_LOOKUP,
	TLSTALL_ERROR_SYSCALL,
	TLSTALL_ERROR_ZERO_RETURN,
	TLSTALL_ERROR_WANT_CONNECT,
	TLSTALL_ERROR_WANT_ACCEPT,
	TLSTALL_ERROR_WANT_ASYNC,
	TLSTALL_ERROR_WANT_ASYNC_JOB,
	TLSTALL_ERROR_WANT_CLIENT_HELLO_CB,
	TLSTALL_ERROR_WANT_RETRY_VERIFY,
	TLSTALL_ERROR_UNKNOWN = UINT8_MAX, /* not asked: an object of no known libssl */
};

/* Whether the program should repeat the call. Errors of a later OpenSSL count as such. */
static inline bool tlstall_is_retry(uint8_t error)
{
	return error > TLSTALL_ERROR_SSL && error != TLSTALL_ERROR_SYSCALL &&
	       error != TLSTALL_ERROR_ZERO_RETURN && error != TLSTALL_ERROR_UNKNOWN;
}

/* OpenSSL's own BIO on a descriptor: the kernel can be asked. */
static inline bool tlstall_has_descriptor(const struct tlstall_transport *transport)
{
	return transport->bio_class == TLSTALL_BIO_SOCKET ||
	       transport->bio_class == TLSTALL_BIO_DATAGRAM ||
	       transport->bio_class == TLSTALL_BIO_FD;
}

/* The program moves the bytes itself. */
static inline bool tlstall_is_in_memory(const struct tlstall_transport *transport)
{
	return transport->bio_class == TLSTALL_BIO_MEMORY ||
	       transport->bio_class == TLSTALL_BIO_PAIR;
}

#endif
