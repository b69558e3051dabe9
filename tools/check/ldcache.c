/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the loader's cache. See ldcache.h; the layout is that of glibc's
 * sysdeps/generic/dl-cache.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check/ldcache.h"

#define OLD_MAGIC "ld.so-1.7.0"
#define NEW_MAGIC "glibc-ld.so.cache1.1"
#define CACHE_MAX (64u << 20) /* bytes */

struct old_header {
	char magic[sizeof(OLD_MAGIC) - 1];
	uint32_t count;
};
#define OLD_ENTRY 12u /* bytes */

struct new_header {
	char magic[sizeof(NEW_MAGIC) - 1];
	uint32_t count, strings_size;
	uint8_t flags, padding[3];
	uint32_t extension, unused[3];
};

struct new_entry {
	int32_t flags;
	uint32_t key, value; /* offsets of strings from the start of the new format */
	uint32_t os_version;
	uint64_t hwcap;
};

/* The new format stands alone, or follows the old one, aligned. */
static size_t find_base(const char *bytes, size_t size)
{
	struct old_header old;
	size_t base;

	if (size < sizeof(old) || memcmp(bytes, OLD_MAGIC, sizeof(old.magic)))
		return 0;
	memcpy(&old, bytes, sizeof(old));
	base = sizeof(old) + (size_t)old.count * OLD_ENTRY;
	return (base + 7) & ~(size_t)7;
}

int ldcache_parse(const void *bytes, size_t size, struct ldcache *cache)
{
	size_t base = find_base(bytes, size);
	struct new_header header;

	*cache = (struct ldcache){0};
	if (size > CACHE_MAX || base > size || size - base < sizeof(header))
		return -EBADMSG;
	memcpy(&header, (const char *)bytes + base, sizeof(header));
	if (memcmp(header.magic, NEW_MAGIC, sizeof(header.magic)) ||
	    header.count > (size - base - sizeof(header)) / sizeof(struct new_entry))
		return -EBADMSG;
	cache->bytes = malloc(size + 1);
	if (!cache->bytes)
		return -ENOMEM;
	memcpy(cache->bytes, bytes, size);
	cache->bytes[size] = 0;
	cache->size = size;
	cache->base = base;
	cache->count = header.count;
	return 0;
}

int ldcache_read(int fd, struct ldcache *cache)
{
	struct stat status;
	char *bytes;
	ssize_t got;
	int ret = -EBADMSG;

	*cache = (struct ldcache){0};
	if (fstat(fd, &status) != 0 || status.st_size <= 0 || status.st_size > CACHE_MAX)
		return -EBADMSG;
	bytes = malloc((size_t)status.st_size);
	if (!bytes)
		return -ENOMEM;
	got = pread(fd, bytes, (size_t)status.st_size, 0);
	if (got > 0)
		ret = ldcache_parse(bytes, (size_t)got, cache);
	free(bytes);
	return ret;
}

void ldcache_free(struct ldcache *cache)
{
	free(cache->bytes);
	*cache = (struct ldcache){0};
}

static const char *text_at(const struct ldcache *cache, uint32_t offset)
{
	return offset < cache->size - cache->base ? cache->bytes + cache->base + offset : "";
}

/* Searches entries of one kind. `nth` counts down over those that match. */
static const char *find_kind(const struct ldcache *cache, const char *name, int better,
			     unsigned *nth)
{
	const char *entries = cache->bytes + cache->base + sizeof(struct new_header);
	struct new_entry entry;

	for (uint32_t i = 0; i < cache->count; i++) {
		memcpy(&entry, entries + i * sizeof(entry), sizeof(entry));
		if (!entry.hwcap != !better || strcmp(text_at(cache, entry.key), name))
			continue;
		if (!(*nth)--)
			return text_at(cache, entry.value);
	}
	return NULL;
}

const char *ldcache_find(const struct ldcache *cache, const char *name, unsigned nth)
{
	const char *found = cache->count ? find_kind(cache, name, 0, &nth) : NULL;

	return found || !cache->count ? found : find_kind(cache, name, 1, &nth);
}
