/* SPDX-License-Identifier: Apache-2.0 */
/* What certificates add to a finished handshake: dates, type of key. */
#ifndef SHIM_CERTIFICATES_H
#define SHIM_CERTIFICATES_H

#include "libssl.h"

void certificates_observe(const struct libssl *lib, const SSL *ssl, struct tlstall_handshake *h);

#endif
