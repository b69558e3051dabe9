/* SPDX-License-Identifier: Apache-2.0 */
/* Looks from outside: read from a trace, and appended to one that is kept. */
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "trace/internal.h"

#define LOOKS TLSTALL_SECTION_LOOKS

/* ---- reading ---------------------------------------------------------------- */

static int by_handshake(const void *a, const void *b)
{
	const struct tlstall_look *x = a, *y = b;

	return x->handshake < y->handshake ? -1 : x->handshake > y->handshake;
}

uint32_t looks_read(struct trace *trace, const struct tlstall_look **looks)
{
	uint32_t present = trace->present[LOOKS], count = 0;
	size_t size = trace->header.section[LOOKS].entry_size;

	/* older minor versions have shorter entries: the rest is 0, not known */
	if (size > sizeof(**looks))
		size = sizeof(**looks);

	if (!trace->looks_read && present)
		trace->looks = calloc(present, sizeof(*trace->looks));
	for (uint32_t i = 0; !trace->looks_read && trace->looks && i < present; i++) {
		struct tlstall_look *look = &trace->looks[count];

		if (trace_read_entry(trace, LOOKS, i, look, size))
			break;
		TERMINATE(look->syscall);
		TERMINATE(look->stack);
		count++;
	}
	if (count) {
		qsort(trace->looks, count, sizeof(*trace->looks), by_handshake);
		trace->look_count = count;
	}
	trace->looks_read = true;
	*looks = trace->looks;
	return trace->look_count;
}

int trace_look(struct trace *trace, const struct tlstall_handshake *h, struct tlstall_look *out)
{
	const struct tlstall_look key = {.handshake = h->number}, *looks, *found;
	uint32_t count = looks_read(trace, &looks);

	found = count ? bsearch(&key, looks, count, sizeof(key), by_handshake) : NULL;
	if (!found)
		return 1;
	*out = *found;
	return 0;
}

/* ---- keeping ------------------------------------------------------------------ */

static bool write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	return pwrite(fd, bytes, size, (off_t)offset) == (ssize_t)size;
}

/* Writing beyond RLIMIT_FSIZE would kill us with a signal. */
static bool may_grow_to(uint64_t size)
{
	struct rlimit limit;

	return !getrlimit(RLIMIT_FSIZE, &limit) && size <= limit.rlim_cur;
}

static bool is_without(int fd, struct tlstall_header *h)
{
	return pread(fd, h, sizeof(*h), 0) == (ssize_t)sizeof(*h) && h->magic == TLSTALL_MAGIC &&
	       h->major == TLSTALL_MAJOR && h->file_size < INT64_MAX / 2 &&
	       (h->section_count <= LOOKS || !h->section[LOOKS].count);
}

/* What the shim was told to leave out of the trace must not get in through us. */
static bool write_looks(int fd, const struct tlstall_look *looks, uint32_t count, uint64_t at,
			uint32_t privacy)
{
	for (uint32_t i = 0; i < count; i++, at += sizeof(*looks)) {
		struct tlstall_look look = looks[i];

		if (privacy & TLSTALL_PRIVACY_PEER)
			look.peer = (struct tlstall_address){0};
		if (privacy & TLSTALL_PRIVACY_STACKS)
			memset(look.stack, 0, sizeof(look.stack));
		if (!write_at(fd, &look, sizeof(look), at))
			return false;
	}
	return true;
}

/* Writes the entries, then the header that refers to them: readers see all or nothing. */
static bool append(int fd, const struct tlstall_look *looks, uint32_t count)
{
	uint32_t sections;
	struct tlstall_header h;
	struct tlstall_section section = {.count = count, .entry_size = sizeof(*looks)};
	uint64_t size = (uint64_t)count * sizeof(*looks), end;

	if (!is_without(fd, &h))
		return false;
	sections = h.section_count > LOOKS ? h.section_count : LOOKS + 1;
	section.offset = (h.file_size + 63) & ~63ull;
	end = section.offset + size;
	return may_grow_to(end) && write_looks(fd, looks, count, section.offset, h.privacy) &&
	       write_at(fd, &section, sizeof(section),
			offsetof(struct tlstall_header, section[LOOKS])) &&
	       write_at(fd, &end, sizeof(end), offsetof(struct tlstall_header, file_size)) &&
	       write_at(fd, &sections, sizeof(sections),
			offsetof(struct tlstall_header, section_count));
}

int trace_keep_looks(const char *path, const struct tlstall_look *looks, uint32_t count)
{
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	bool kept;

	if (fd < 0)
		return -1;
	kept = append(fd, looks, count);
	close(fd);
	return kept ? 0 : -1;
}
