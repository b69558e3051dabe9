/* SPDX-License-Identifier: Apache-2.0 */
/* Where the bytes come from: a file, memory, or what the caller has. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trace/internal.h"

ssize_t source_read(const struct trace_source *source, void *buffer, size_t size, uint64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t got = source->read_at(source->context, (char *)buffer + done, size - done,
					      offset + done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return error_io();
		if (got == 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

int trace_read(const struct trace *trace, void *buffer, size_t count, size_t size, uint64_t offset)
{
	ssize_t got = source_read(&trace->source, buffer, count * size, offset);
	size_t whole;

	if (got < 0)
		return (int)got;
	whole = (size_t)got / size * size;
	memset((char *)buffer + whole, 0, count * size - whole);
	return 0;
}

int trace_read_entry(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
		     void *buffer, size_t size)
{
	const struct tlstall_section *section = &trace->header.section[id];

	if (index >= trace->present[id])
		return 1;
	return trace_read(trace, buffer, 1, size,
			  section->offset + (uint64_t)index * section->entry_size);
}

/* All such entries begin with their mark. It is read first: what it vouches for was stored before.
 */
int trace_read_committed(const struct trace *trace, enum tlstall_section_id id, uint32_t index,
			 void *buffer, size_t size)
{
	uint32_t commit;
	int result = trace_read_entry(trace, id, index, &commit, sizeof(commit));

	if (result || commit != 1)
		return result ? result : 1;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return trace_read_entry(trace, id, index, buffer, size);
}

/* ---- a file ------------------------------------------------------------ */

static ssize_t file_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	if (offset > INT64_MAX - size)
		return 0;
	return pread(*(int *)context, buffer, size, (off_t)offset);
}

static void file_close(void *context)
{
	close(*(int *)context);
	free(context);
}

int trace_open_path(const char *path, struct trace **out)
{
	int *fd = malloc(sizeof(*fd));

	*out = NULL;
	if (!fd)
		return TRACE_ERROR_MEMORY;
	/* whatever lies there, a fifo for one, must not hold us up */
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (*fd < 0) {
		error_io();
		free(fd);
		return TRACE_ERROR_IO;
	}
	return trace_open((struct trace_source){file_read, file_close, fd}, out);
}

/* ---- memory ------------------------------------------------------------- */

struct bytes {
	const char *start;
	size_t size;
};

static ssize_t bytes_read(void *context, void *buffer, size_t size, uint64_t offset)
{
	const struct bytes *bytes = context;

	if (offset >= bytes->size)
		return 0;
	if (size > bytes->size - offset)
		size = bytes->size - (size_t)offset;
	memcpy(buffer, bytes->start + offset, size);
	return (ssize_t)size;
}

int trace_open_bytes(const void *start, size_t size, struct trace **out)
{
	struct bytes *bytes = malloc(sizeof(*bytes));

	*out = NULL;
	if (!bytes)
		return TRACE_ERROR_MEMORY;
	*bytes = (struct bytes){start, size};
	return trace_open((struct trace_source){bytes_read, free, bytes}, out);
}
