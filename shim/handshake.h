/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bookkeeping of one handshake: values in, its record updated. Knows no
 * OpenSSL header, asks nobody, so that it can be tested alone. Times in ticks
 * unless the name says otherwise.
 */
#ifndef SHIM_HANDSHAKE_H
#define SHIM_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "tlstall/trace.h"

/* OpenSSL's public SSL_ERROR_* numbers. */
enum { HS_NONE = 0, HS_SSL = 1, HS_WANT_READ = 2, HS_WANT_WRITE = 3, HS_WANT_X509 = 4,
       HS_SYSCALL = 5, HS_ZERO_RETURN = 6 };

struct handshake_enter {
	uint64_t ticks;
	uint64_t ticks_per_ms;
	uint32_t tid;
	uint32_t stale_error; /* head of the error queue */
	uint8_t function;
	const struct tlstall_socket *socket; /* NULL: not asked */
};

struct handshake_leave {
	uint64_t ticks;
	uint64_t cpu_ns;
	uint64_t bytes_in, bytes_out; /* since the handshake's start */
	int32_t ret;
	uint32_t ossl_error;
	uint32_t pending_in, pending_out;
	uint8_t function, error, error_number, state;
	bool finished; /* SSL_is_init_finished() */
};

void handshake_enter(struct tlstall_handshake *h, const struct handshake_enter *in);
/* Returns the outcome; TLSTALL_OUTCOME_IN_FLIGHT: the program has to call again. */
enum tlstall_outcome handshake_leave(struct tlstall_handshake *h, const struct handshake_leave *in);
/* SSL_free, SSL_clear or a new handshake. Returns true if that ended it. */
bool handshake_give_up(struct tlstall_handshake *h, uint64_t ticks);
void handshake_end(struct tlstall_handshake *h, enum tlstall_outcome outcome, uint64_t ticks);

/* A state was completed. */
void handshake_state(struct tlstall_handshake *h, uint8_t state, uint64_t ticks);
void handshake_alert(struct tlstall_handshake *h, bool by_peer, uint8_t level, uint8_t description,
		     uint64_t ticks, uint64_t ticks_per_ms);

/* Whether SSL_get_error's class asks for the same call again. */
static inline bool handshake_is_retry(uint8_t error)
{
	return error != HS_NONE && error != HS_SSL && error != HS_SYSCALL &&
	       error != HS_ZERO_RETURN;
}

#endif
