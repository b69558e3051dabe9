/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ps, top, stack and ctl read: a trace that somebody modifies, truncates and extends between
 * any two reads. A count or offset that was valid when checked may not be valid later.
 */
#include <stdint.h>
#include <string.h>

#include "everything.h"
#include "trace/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct changing {
	const uint8_t *data;
	size_t size;
	uint64_t random;
};

static size_t sum; /* uses what was read, so that the compiler cannot drop it */

static uint64_t next(struct changing *file)
{
	file->random ^= file->random << 13;
	file->random ^= file->random >> 7;
	file->random ^= file->random << 17;
	return file->random;
}

/* Every eighth read returns modified bytes, every 64th ends too early. */
static ssize_t read_changed(void *context, void *buffer, size_t size, uint64_t offset)
{
	static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff};
	struct changing *file = context;
	uint64_t chance = next(file);
	uint8_t *bytes = buffer;

	if (offset >= file->size)
		return 0;
	if (size > file->size - offset)
		size = file->size - offset;
	if (chance % 64 == 0)
		size = next(file) % (size + 1);
	memcpy(bytes, file->data + offset, size);
	for (uint64_t left = chance % 8 == 1 && size ? 1 + next(file) % 4 : 0; left; left--)
		bytes[next(file) % size] = chance & 256 ? (uint8_t)next(file) : telling[next(file) % sizeof(telling)];
	return (ssize_t)size;
}

static void close_nothing(void *context)
{
	(void)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct changing file = {.data = data, .size = size, .random = 88172645463325252ull};
	struct trace_source source = {read_changed, close_nothing, &file};
	struct trace *trace = NULL;

	for (size_t i = 0; i < size && i < 4096; i++)
		file.random = (file.random ^ data[i]) * 1099511628211ull;
	file.random |= 1;
	if (trace_open(source, &trace) < 0) {
		if (trace)
			trace_close(trace);
		return 0;
	}
	for (int round = 0; round < 3; round++)
		sum += look_at_everything(trace);
	trace_close(trace);
	return 0;
}
