/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that asks OpenSSL and the kernel. Whatever is called here has
 * no side effect on the program, in any state; errno is the caller's to keep.
 */
#ifndef SHIM_OBSERVE_H
#define SHIM_OBSERVE_H

#include "recorder.h"
#include "track.h"

/*
 * Id of the state's text. That is a constant of the library, and asked once; but a
 * handshake that has failed has a text of its own: not for that.
 */
static inline uint8_t observe_state(const struct libssl *lib, const SSL *ssl)
{
	uint8_t *ids = ((struct libssl *)lib)->state_ids;
	unsigned state = (unsigned)lib->SSL_get_state(ssl);

	if (state >= sizeof(lib->state_ids))
		return recorder_state(lib->SSL_state_string_long(ssl));
	if (!ids[state])
		ids[state] = recorder_state(lib->SSL_state_string_long(ssl));
	return ids[state];
}

/* Role, server name, BIOs, descriptor: known at the start. */
void observe_start(struct track *track, const SSL *ssl, struct tlstall_handshake *h);
/* Version, cipher, ...: known at the end. */
void observe_end(const struct track *track, const SSL *ssl, struct tlstall_handshake *h);
/* The SSL is freed while its handshake is unfinished: what its socket says now. */
void observe_left_behind(struct tlstall_handshake *h);

/*
 * Looks whether the SSL has other BIOs than before, and at those; cheap when it has not.
 * `in` and `out` are the bytes that went through its BIOs since the handshake's start.
 */
bool observe_transport(struct track *track, const SSL *ssl, struct tlstall_handshake *h,
		       uint64_t *in, uint64_t *out);
/* Bytes that lie in a built-in memory BIO or pair; UINT32_MAX: not known. */
void observe_pending(const struct track *track, const struct tlstall_handshake *h, uint32_t *in,
		     uint32_t *out);
/*
 * TCP_INFO, and the queue sizes when asked for. False: not a descriptor that we may
 * ask. When some time has passed since the SSL used it, `later` makes sure that its
 * number is not another file's by now.
 */
bool observe_socket(struct tlstall_handshake *h, bool later, struct tlstall_socket *out);

#endif
