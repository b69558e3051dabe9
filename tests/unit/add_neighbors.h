/* SPDX-License-Identifier: Apache-2.0 */
/* What a handshake's neighbors in the trace say about it. */
#ifndef TESTS_UNIT_ADD_NEIGHBORS_H
#define TESTS_UNIT_ADD_NEIGHBORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* needs the headers above */
#include <cmocka.h>

#include "diagnosis/facts.h"

static inline void add_neighbors(struct trace *trace, const struct tlstall_handshake *h, struct facts *facts)
{
	struct neighbors *neighbors;

	assert_int_equal(neighbors_read(trace, &neighbors), 0);
	neighbors_add(neighbors, h, facts);
	neighbors_free(neighbors);
}

#endif
