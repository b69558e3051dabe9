/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shim's info callback, set on every SSL_CTX. The program's own callback is called as without
 * the shim, and the getters still return it.
 */
#ifndef SHIM_HOOK_H
#define SHIM_HOOK_H

#include "track.h"

/* After SSL_CTX_new. */
void hook_ctx(const struct libssl *lib, SSL_CTX *ctx);
/* For an SSL whose context was made without the shim's knowledge. */
void hook_ssl(const struct libssl *lib, const SSL *ssl);

/* Whether to remove the shim's callback wherever it is found. */
void hook_let_go(bool go);

void hook_set_ctx(const struct libssl *lib, SSL_CTX *ctx, info_callback *callback);
info_callback *hook_get_ctx(const struct libssl *lib, SSL_CTX *ctx);
void hook_set_ssl(const struct libssl *lib, SSL *ssl, info_callback *callback);
info_callback *hook_get_ssl(const struct libssl *lib, const SSL *ssl);

#endif
