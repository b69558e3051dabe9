/* SPDX-License-Identifier: Apache-2.0 */
/* Finds many strings in one pass (Wu and Manber, blocks of two bytes). See textscan.h. */
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check/textscan.h"

#define BLOCK (256u << 10) /* bytes read at once: fits the CPU's cache */
#define OVERLAP 64u	   /* bytes; more than the longest match */

static const char *const patterns[] = {
#define TEXTSCAN_TEXT(id, text) text,
	TEXTSCAN_PATTERNS(TEXTSCAN_TEXT)
#undef TEXTSCAN_TEXT
};

#define TEXTSCAN_ASSERT(id, text) _Static_assert(sizeof(text) > TEXTSCAN_MIN, "too short: " text);
TEXTSCAN_PATTERNS(TEXTSCAN_ASSERT)
#undef TEXTSCAN_ASSERT

/* How far the window may move, by its last two bytes. */
struct shifts {
	uint8_t by[1u << 16];
};

static unsigned pair(const unsigned char *at)
{
	return at[0] | (unsigned)at[1] << 8;
}

static void fill_shifts(struct shifts *shifts)
{
	memset(shifts->by, TEXTSCAN_MIN - 1, sizeof(shifts->by));
	for (size_t i = 0; i < TEXTSCAN_COUNT; i++)
		for (unsigned at = 0; at + 2 <= TEXTSCAN_MIN; at++) {
			uint8_t *shift = &shifts->by[pair((const unsigned char *)patterns[i] + at)];
			uint8_t distance = (uint8_t)(TEXTSCAN_MIN - 2 - at);

			*shift = distance < *shift ? distance : *shift;
		}
}

/* Takes a version like "OpenSSL 3.0.15 3 Sep 2024": a number with two dots, then a date. */
static void keep_version(const char *text, size_t size, struct textscan *scan)
{
	char copy[sizeof(scan->openssl)] = "";
	int major, minor, end = 0;
	size_t length = 0;

	while (length < size && length + 1 < sizeof(copy) && isprint((unsigned char)text[length]))
		length++;
	memcpy(copy, text, length);
	if (scan->openssl[0] || sscanf(copy, "OpenSSL %d.%d.%n", &major, &minor, &end) != 2 || !end)
		return;
	if (!isdigit((unsigned char)copy[end]) || !strchr(copy + end, ' '))
		return;
	memcpy(scan->openssl, copy, sizeof(copy));
	scan->found |= TEXT_BIT(OPENSSL_VERSION);
}

static bool is_name(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* A function's name counts only as a whole string, not in "SSL_connect failed". */
static bool is_whole(const char *text, size_t length, size_t left, char before)
{
	return left > length && !text[length] && !is_name(before);
}

static void match(const char *text, size_t left, char before, struct textscan *scan)
{
	for (unsigned i = 0; i < TEXTSCAN_COUNT; i++) {
		size_t length = strlen(patterns[i]);

		if (left < length || memcmp(text, patterns[i], length))
			continue;
		if (i == TEXT_OPENSSL_VERSION)
			keep_version(text, left, scan);
		else if (i < TEXT_SSL_CONNECT || i > TEXT_SSL_DO_HANDSHAKE ||
			 is_whole(text, length, left, before))
			scan->found |= 1u << i;
	}
}

static void scan_window(const struct shifts *shifts, const char *bytes, size_t size,
			struct textscan *scan)
{
	const unsigned char *data = (const unsigned char *)bytes;
	size_t end = TEXTSCAN_MIN;

	while (end <= size) {
		unsigned shift = shifts->by[pair(data + end - 2)];
		size_t start = end - TEXTSCAN_MIN;

		if (!shift)
			match(bytes + start, size - start, start ? bytes[start - 1] : 0, scan);
		end += shift ? shift : 1;
	}
}

int textscan_bytes(const void *bytes, size_t size, struct textscan *scan)
{
	struct shifts *shifts = malloc(sizeof(*shifts));

	if (!shifts)
		return -ENOMEM;
	fill_shifts(shifts);
	scan_window(shifts, bytes, size < scan->bytes_left ? size : scan->bytes_left, scan);
	free(shifts);
	return 0;
}

struct room {
	struct shifts shifts;
	char buffer[BLOCK + OVERLAP];
};

/* Strings that nothing else contains. */
#define DECISIVE (TEXT_BIT(BORINGSSL) | TEXT_BIT(GO_TLS) | TEXT_BIT(RUSTLS_SOURCE))

static bool is_enough(const struct textscan *scan)
{
	return (*scan->openssl && scan->found & scan->enough) || scan->found & DECISIVE;
}

static void scan_range(int fd, uint64_t from, uint64_t to, struct room *room, struct textscan *scan)
{
	while (from < to && scan->bytes_left && !is_enough(scan)) {
		uint64_t want = to - from < BLOCK + OVERLAP ? to - from : BLOCK + OVERLAP;
		ssize_t got = pread(fd, room->buffer, want, (off_t)from);

		if (got <= 0)
			return;
		scan_window(&room->shifts, room->buffer, (size_t)got, scan);
		scan->bytes_left -=
			(uint64_t)got < scan->bytes_left ? (uint64_t)got : scan->bytes_left;
		if ((size_t)got < BLOCK + OVERLAP)
			return;
		from += BLOCK;
	}
}

/* Names of dynamic symbols lie among the constants, but are not the program's strings. */
int textscan_file(int fd, const struct object *object, struct textscan *scan)
{
	const struct object_range *hole = &object->strtab;
	struct room *room = malloc(sizeof(*room));

	if (!room)
		return -ENOMEM;
	fill_shifts(&room->shifts);
	for (size_t i = 0; i < object->constant_count; i++) {
		uint64_t from = object->constants[i].offset, to = from + object->constants[i].size;

		if (hole->size && hole->offset >= from && hole->offset + hole->size <= to) {
			scan_range(fd, from, hole->offset, room, scan);
			from = hole->offset + hole->size;
		}
		scan_range(fd, from, to, room, scan);
	}
	free(room);
	return 0;
}
