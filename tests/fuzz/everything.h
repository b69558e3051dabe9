/* SPDX-License-Identifier: Apache-2.0 */
/* Every table, handshake and event of a trace, and its clock. */
#ifndef TESTS_FUZZ_EVERYTHING_H
#define TESTS_FUZZ_EVERYTHING_H

#include <stddef.h>

struct trace;

/* Of no meaning: what was read is used, and the compiler may not drop it. */
size_t look_at_everything(struct trace *trace);

#endif
