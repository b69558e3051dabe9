/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that asks OpenSSL and the kernel. What is called here has no side effect on the
 * program, in any state; the caller preserves errno.
 */
#ifndef SHIM_OBSERVE_H
#define SHIM_OBSERVE_H

#include "handshake.h"
#include "recorder.h"
#include "track.h"

/*
 * Id of the state's text, which is a constant of the library and asked once. Not for a failed
 * handshake, which has its own text.
 */
uint8_t observe_new_state(const struct libssl *lib, const SSL *ssl, unsigned state);
static inline uint8_t observe_state(const struct libssl *lib, const SSL *ssl)
{
	unsigned state = (unsigned)lib->SSL_get_state(ssl);
	uint8_t id = state < sizeof(lib->state_ids)
			     ? __atomic_load_n(&lib->state_ids[state], __ATOMIC_RELAXED)
			     : 0;

	return __builtin_expect(id, 1) ? id : observe_new_state(lib, ssl, state);
}

/* The file that has the texts of the remembered ids is lost. */
void observe_forget(const struct libssl *lib);

/* Role, server name, BIOs, descriptor: known at the start. */
void observe_start(struct track *track, const SSL *ssl, struct tlstall_handshake *h);
/* What the kernel knows about the descriptor: asked at the start, except for COMPACT handshakes. */
void observe_descriptor(struct track *track, struct tlstall_handshake *h);
/* For a handshake that was COMPACT: sets at_start to the socket's counters before those bytes. */
void observe_backwards(const struct track *track, struct tlstall_handshake *h, uint64_t in,
		       uint64_t out);
/* Version, cipher, ...: known at the end. */
void observe_end(const struct track *track, const SSL *ssl, struct tlstall_handshake *h);
/* The SSL is freed while its handshake is unfinished: asks its socket. */
void observe_left_behind(const struct track *track, struct tlstall_handshake *h);

/*
 * Checks whether the SSL has other BIOs than before, and records those; cheap if not. `in` and
 * `out` are the bytes that went through its BIOs since the handshake's start.
 */
bool observe_transport(struct track *track, const SSL *ssl, struct tlstall_handshake *h,
		       uint64_t *in, uint64_t *out);
/* Bytes in a built-in memory BIO or BIO pair after that call; leaves unknown values unchanged. */
void observe_pending(const struct track *track, struct handshake_leave *in);

/*
 * Whether the BIO's retry flags are those of its last read: OpenSSL's own BIOs clear them before
 * each. A program's own may leave them set for ever (haproxy 2.6), so that a failure looks like a
 * retry.
 */
static inline bool observe_clears_flags(const struct track *track, const BIO *bio)
{
	return bio == track->read_end &&
	       (tlstall_has_descriptor(&track->read) || tlstall_is_in_memory(&track->read));
}

/*
 * Whether an op on an unfinished handshake returned because it needs data. SSL_get_error would look
 * at the error queue first, which costs more than the rest of the call. The op cleared the queue
 * when it began, so SSL_want and the BIO suffice, if its flags are true. If something filled the
 * queue meanwhile, the program's own SSL_get_error shows it.
 */
static inline bool observe_wants_read(const struct libssl *lib, const SSL *ssl,
				      const struct track *track, const struct tlstall_handshake *h)
{
	BIO *bio;

	if ((h->flags & TLSTALL_HS_QUIC) || lib->SSL_want(ssl) != SSL_READING)
		return false;
	bio = lib->SSL_get_rbio(ssl);
	return bio && lib->BIO_test_flags(bio, BIO_FLAGS_READ) &&
	       (observe_clears_flags(track, bio) || !lib->ERR_peek_error());
}

/*
 * TCP_INFO, and the queue sizes if requested. False: not a descriptor that may be asked. If some
 * time has passed since the SSL used it, `later` checks that the number does not belong to another
 * file by now.
 */
bool observe_socket(const struct track *track, struct tlstall_handshake *h, bool later,
		    struct tlstall_socket *out);

#endif
