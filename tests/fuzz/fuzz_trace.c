/* SPDX-License-Identifier: Apache-2.0 */
/* The trace reader over any bytes: reads every table, handshake and event. */
#include <stdint.h>
#include <string.h>

#include "everything.h"
#include "trace/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t sum; /* uses what was read, so that the compiler cannot drop it */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace *trace = NULL;
	int error = trace_open_bytes(data, size, &trace);

	if (error < 0) {
		sum += strlen(trace_strerror(trace, error));
		if (trace)
			trace_close(trace);
		return 0;
	}
	sum += look_at_everything(trace);
	trace_close(trace);
	return 0;
}
