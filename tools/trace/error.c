/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in words. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "trace/internal.h"

/* After a failed open there is no trace to ask: kept per thread, like errno. */
static __thread int io_errno;
static __thread char version_text[200];

int error_io(void)
{
	io_errno = errno;
	return TRACE_ERROR_IO;
}

int error_version(const struct tlstall_header *header)
{
	if (header->major != TLSTALL_MAJOR)
		snprintf(version_text, sizeof(version_text),
			 "unknown trace format %u.%u: this tlstall reads %d.x", header->major,
			 header->minor, TLSTALL_MAJOR);
	else
		snprintf(version_text, sizeof(version_text),
			 "trace format %u.%u uses features 0x%x, which this tlstall (format "
			 "%d.%d) does not have",
			 header->major, header->minor, header->incompat, TLSTALL_MAJOR,
			 TLSTALL_MINOR);
	return TRACE_ERROR_VERSION;
}

const char *trace_strerror(const struct trace *trace, int error)
{
	(void)trace;
	switch ((enum trace_error)error) {
	case TRACE_ERROR_IO:
		return strerror(io_errno);
	case TRACE_ERROR_SHORT:
		return "cut off before its first record";
	case TRACE_ERROR_MAGIC:
		return "not a trace file";
	case TRACE_ERROR_BYTE_ORDER:
		return "a trace from a machine with the other byte order";
	case TRACE_ERROR_VERSION:
		return version_text;
	case TRACE_ERROR_LAYOUT:
		return "damaged: its header places sections where they cannot be";
	case TRACE_ERROR_MEMORY:
		return "out of memory";
	case TRACE_ERROR_UNFINISHED:
		return "empty: it is no trace, or its program is just starting or died while starting";
	}
	return "no error";
}
