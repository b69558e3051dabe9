/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's cache, /etc/ld.so.cache, format "glibc-ld.so.cache1.1" with or without the old one before it. */
#ifndef TOOLS_CHECK_LDCACHE_H
#define TOOLS_CHECK_LDCACHE_H

#include <stddef.h>
#include <stdint.h>

struct ldcache {
	char *bytes; /* the file and a final 0 */
	size_t size;
	size_t base; /* of the new format: string offsets count from there */
	uint32_t count;
};

/* Takes a copy of `bytes`. Returns 0, -EBADMSG or -ENOMEM. */
int ldcache_parse(const void *bytes, size_t size, struct ldcache *cache);
int ldcache_read(int fd, struct ldcache *cache);
void ldcache_free(struct ldcache *cache);

/*
 * The file of the `nth` (from 0) entry for a library's name, entries of plain
 * hardware before those of a better one; NULL when there are no more.
 */
const char *ldcache_find(const struct ldcache *cache, const char *name, unsigned nth);

#endif
