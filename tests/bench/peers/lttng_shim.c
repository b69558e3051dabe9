/* SPDX-License-Identifier: Apache-2.0 */
/* The minimum that LTTng-UST needs to record these calls: see lttng_provider.h. */
#define LTTNG_UST_TRACEPOINT_CREATE_PROBES
#define LTTNG_UST_TRACEPOINT_DEFINE
#include "bench/peers/lttng_provider.h"

#include <dlfcn.h>

#include <openssl/ssl.h>

int SSL_do_handshake(SSL *ssl)
{
	static __typeof__(&SSL_do_handshake) real;
	int ret;

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "SSL_do_handshake");
	ret = real(ssl);
	lttng_ust_tracepoint(bench, call, 1, ssl, 0, ret);
	return ret;
}

int SSL_get_error(const SSL *ssl, int i)
{
	static __typeof__(&SSL_get_error) real;
	int ret;

	if (!real)
		real = (__typeof__(real))dlsym(RTLD_NEXT, "SSL_get_error");
	ret = real(ssl, i);
	lttng_ust_tracepoint(bench, call, 2, ssl, i, ret);
	return ret;
}
