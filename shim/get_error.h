/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SHIM_GET_ERROR_H
#define SHIM_GET_ERROR_H

#include "openssl.h"

/* Asks the real SSL_get_error and records its answer. */
int get_error_ask(const SSL *ssl, int ret);

#endif
