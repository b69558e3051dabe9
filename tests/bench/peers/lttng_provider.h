/* SPDX-License-Identifier: Apache-2.0 */
/* One tracepoint: a call with its object, argument and result. */
#undef LTTNG_UST_TRACEPOINT_PROVIDER
#define LTTNG_UST_TRACEPOINT_PROVIDER bench

#undef LTTNG_UST_TRACEPOINT_INCLUDE
#define LTTNG_UST_TRACEPOINT_INCLUDE "bench/peers/lttng_provider.h"

#if !defined(BENCH_LTTNG_PROVIDER_H) || defined(LTTNG_UST_TRACEPOINT_HEADER_MULTI_READ)
#define BENCH_LTTNG_PROVIDER_H

#include <lttng/tracepoint.h>

LTTNG_UST_TRACEPOINT_EVENT(
	bench, call, LTTNG_UST_TP_ARGS(int, function, const void *, ssl, int, argument, int, ret),
	LTTNG_UST_TP_FIELDS(lttng_ust_field_integer(int, function, function)
				    lttng_ust_field_integer_hex(unsigned long, ssl,
								(unsigned long)ssl)
					    lttng_ust_field_integer(int, argument, argument)
						    lttng_ust_field_integer(int, ret, ret)))

#endif

#include <lttng/tracepoint-event.h>
