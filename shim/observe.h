/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The only place that asks OpenSSL and the kernel. Whatever is called here has
 * no side effect on the program, in any state; errno is the caller's to keep.
 */
#ifndef SHIM_OBSERVE_H
#define SHIM_OBSERVE_H

#include "track.h"

/* The BIOs of the SSL; cheap when they are the same as before. True if they changed. */
bool observe_transport(struct track *track, const SSL *ssl, struct tlstall_handshake *h);
/* Peer address and blocking mode of the descriptor. */
void observe_descriptor(struct tlstall_handshake *h);
/* Bytes that lie in a built-in memory BIO or pair; UINT32_MAX: not known. */
void observe_pending(const struct track *track, const struct tlstall_handshake *h, uint32_t *in,
		     uint32_t *out);
/* TCP_INFO, and the queue sizes when asked for. False: not a socket we may ask. */
bool observe_socket(const struct tlstall_handshake *h, bool queues, struct tlstall_socket *out);
/* Bytes that went through the SSL's own BIOs, ever. */
void observe_bytes(const struct track *track, uint64_t *in, uint64_t *out);
/* Role, server name: known at the start. Version, cipher ...: at the end. */
void observe_start(const struct track *track, const SSL *ssl, struct tlstall_handshake *h);
void observe_end(const struct track *track, const SSL *ssl, struct tlstall_handshake *h);

#endif
