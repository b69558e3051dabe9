/* SPDX-License-Identifier: Apache-2.0 */
#include "look/scan.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "look/memory.h"
#include "now.h"

#define CHUNK (1u << 20)
#define METHODS 256 /* words known to be a method, or known not to be one */
#define RECENT 8

struct search {
	struct scan *scan;
	bool (*each)(uint64_t address, const struct libssl_copy *library, void *context);
	void *context;
	uint64_t page;
	uint64_t *words, *entries; /* of one chunk; of its pages */
	uint64_t recent[RECENT];   /* reported last, as an object has two such words */
	unsigned next;
	struct {
		uint64_t address;
		bool is;
	} methods[METHODS];
	bool ended;
};

/* ---- words ------------------------------------------------------------------------ */

/* SSL_METHOD begins with a protocol version, and so does SSL up to OpenSSL 3.1. */
static bool is_version(uint32_t word)
{
	return word == 0x10000 || word == 0x1ffff || (word >= 0x300 && word <= 0x304) ||
	       word == 0xfeff || word == 0xfefd || word == 0xfefc || word == 0x100 || word == 1;
}

static bool is_data(const struct regions *regions, uint64_t address)
{
	const struct region *region = regions_find(regions, address);

	return region && region->readable && !region->executable;
}

static bool is_method(struct search *search, uint64_t address)
{
	unsigned at = (unsigned)(address >> 3) % METHODS;
	uint32_t version;

	if (search->methods[at].address != address) {
		search->methods[at].address = address;
		search->methods[at].is =
			is_data(search->scan->regions, address) &&
			memory_read(search->scan->memory, address, &version, sizeof(version)) &&
			is_version(version);
	}
	return search->methods[at].is;
}

static const struct libssl_copy *library_of(const struct libraries *libraries, uint64_t word)
{
	for (unsigned i = 0; i < libraries->count; i++) {
		if (word >= libraries->list[i].start && word < libraries->list[i].end)
			return &libraries->list[i];
	}
	return NULL;
}

/*
 * The method is word 1, after the version (OpenSSL 1.1.1 to 3.1), or words 2 and 3, after the
 * object's kind and the SSL_CTX.
 */
static bool may_begin(const struct search *search, uint64_t address, unsigned words)
{
	uint32_t head;

	if (!memory_read(search->scan->memory, address, &head, sizeof(head)))
		return false;
	return words == 1 ? is_version(head) : head <= 3;
}

static bool was_reported(struct search *search, uint64_t address)
{
	for (unsigned i = 0; i < RECENT; i++) {
		if (search->recent[i] == address)
			return true;
	}
	search->recent[search->next++ % RECENT] = address;
	return false;
}

static void take_word(struct search *search, uint64_t at, const struct libssl_copy *library)
{
	for (unsigned words = 1; words <= 3 && !search->ended; words++) {
		uint64_t address = at - 8 * words;

		if (may_begin(search, address, words) && !was_reported(search, address))
			search->ended = !search->each(address, library, search->context);
	}
}

static void search_words(struct search *search, uint64_t start, size_t count)
{
	const struct libraries *libraries = search->scan->libraries;

	for (size_t i = 0; i < count && !search->ended; i++) {
		uint64_t word = search->words[i];
		const struct libssl_copy *library;

		if (word < libraries->least || word >= libraries->most || (word & 7))
			continue;
		library = library_of(libraries, word);
		if (library && is_method(search, word))
			take_word(search, start + 8 * i, library);
	}
}

/* ---- pages ------------------------------------------------------------------------- */

/*
 * Present or swapped out. Pages that were never written to hold nothing: reading would create them.
 */
#define PAGE_THERE (3ull << 62)

static bool read_entries(struct search *search, uint64_t start, size_t pages)
{
	size_t size = pages * sizeof(uint64_t);
	off_t offset = (off_t)(start / search->page * sizeof(uint64_t));

	return search->scan->pages >= 0 &&
	       pread(search->scan->pages, search->entries, size, offset) == (ssize_t)size;
}

static void search_run(struct search *search, uint64_t start, size_t size)
{
	ssize_t got = pread(search->scan->memory, search->words, size, (off_t)start);

	if (got <= 0)
		return;
	search->scan->searched += (uint64_t)got;
	search_words(search, start, (size_t)got / sizeof(uint64_t));
}

static void search_chunk(struct search *search, uint64_t start, size_t size)
{
	size_t pages = size / search->page, from, to;

	if (!read_entries(search, start, pages)) {
		search_run(search, start, size);
		return;
	}
	for (from = 0; from < pages && !search->ended; from = to + 1) {
		for (to = from; to < pages && (search->entries[to] & PAGE_THERE); to++)
			;
		if (to > from)
			search_run(search, start + from * search->page,
				   (to - from) * search->page);
	}
}

static void search_region(struct search *search, const struct region *region)
{
	for (uint64_t at = region->start; at < region->end && !search->ended; at += CHUNK) {
		size_t size = region->end - at < CHUNK ? (size_t)(region->end - at) : CHUNK;

		if (now_ns(CLOCK_MONOTONIC) > search->scan->deadline_ns) {
			search->scan->skipped += region->end - at;
			return;
		}
		search_chunk(search, at, size);
	}
}

/* Objects lie in the heap, in the program's own pools, or in shared memory. */
static bool may_hold(const struct region *region)
{
	if (!region->readable || !region->writable || !strncmp(region->path, "[v", 2))
		return false;
	return strncmp(region->path, "/dev/", 5) != 0 || !strncmp(region->path, "/dev/shm/", 9) ||
	       !strncmp(region->path, "/dev/zero", 9);
}

int scan_run(struct scan *scan,
	     bool (*each)(uint64_t address, const struct libssl_copy *library, void *context),
	     void *context)
{
	struct search *search = calloc(1, sizeof(*search));
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	int result = -1;

	if (!search)
		return -1;
	*search = (struct search){.scan = scan, .each = each, .context = context, .page = page};
	search->words = malloc(CHUNK);
	search->entries = malloc(CHUNK / page * sizeof(uint64_t));
	if (search->words && search->entries) {
		for (unsigned i = 0; i < scan->regions->count && !search->ended; i++) {
			if (may_hold(&scan->regions->list[i]))
				search_region(search, &scan->regions->list[i]);
		}
		result = 0;
	}
	free(search->words);
	free(search->entries);
	free(search);
	return result;
}
