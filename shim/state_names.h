/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_state_string_long(), for programs that were linked without it. */
#ifndef SHIM_STATE_NAMES_H
#define SHIM_STATE_NAMES_H

#include "openssl.h"

const char *state_names_of(const SSL *ssl);

#endif
