/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our info callback, set on every SSL_CTX, and the program's own behind it:
 * it is called as if we were not there, and the getters give it back.
 */
#ifndef SHIM_STATES_H
#define SHIM_STATES_H

#include "track.h"

/* After SSL_CTX_new: hooks the new context. */
void states_hook_ctx(const struct libssl *lib, SSL_CTX *ctx);
/* For an SSL whose context was made behind our back. */
void states_hook_ssl(const struct libssl *lib, const SSL *ssl);

void states_set_ctx(const struct libssl *lib, SSL_CTX *ctx, info_callback *callback);
info_callback *states_get_ctx(const struct libssl *lib, SSL_CTX *ctx);
void states_set_ssl(const struct libssl *lib, SSL *ssl, info_callback *callback);
info_callback *states_get_ssl(const struct libssl *lib, const SSL *ssl);

#endif
