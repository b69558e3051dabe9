/* SPDX-License-Identifier: Apache-2.0 */
/* The loader's cache of libraries. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "check/ldcache.h"

struct cache_entry {
	int32_t flags;
	uint32_t key, value, version;
	uint64_t hwcap;
};

static size_t make_cache(uint8_t *bytes, size_t base)
{
	static const char strings[] = "libx.so\0/a/libx.so\0/b/libx.so";
	uint32_t at = (uint32_t)(48 + 2 * sizeof(struct cache_entry));
	struct cache_entry entries[2] = {{3, at, at + 8, 0, 1ull << 62}, {3, at, at + 19, 0, 0}};
	uint32_t counts[2] = {2, sizeof(strings)};

	memcpy(bytes + base, "glibc-ld.so.cache1.1", 20);
	memcpy(bytes + base + 20, counts, 8);
	memcpy(bytes + base + 48, entries, sizeof(entries));
	memcpy(bytes + base + at, strings, sizeof(strings));
	return base + at + sizeof(strings);
}

static void test_cache(void **state)
{
	uint8_t bytes[256] = {0};
	struct ldcache cache;
	(void)state;

	assert_int_equal(ldcache_parse(bytes, make_cache(bytes, 0), &cache), 0);
	assert_string_equal(ldcache_find(&cache, "libx.so", 0), "/b/libx.so");
	assert_string_equal(ldcache_find(&cache, "libx.so", 1), "/a/libx.so");
	assert_null(ldcache_find(&cache, "libx.so", 2));
	assert_null(ldcache_find(&cache, "liby.so", 0));
	ldcache_free(&cache);
}

static void test_cache_behind_an_old_one(void **state)
{
	uint8_t bytes[256] = "ld.so-1.7.0";
	struct ldcache cache;
	uint32_t count = 1;
	(void)state;

	memcpy(bytes + 12, &count, 4);
	assert_int_equal(ldcache_parse(bytes, make_cache(bytes, 32), &cache), 0);
	assert_string_equal(ldcache_find(&cache, "libx.so", 0), "/b/libx.so");
	ldcache_free(&cache);
}

static void test_damaged_cache(void **state)
{
	uint8_t bytes[256] = {0};
	size_t full = make_cache(bytes, 0);
	struct ldcache cache;
	uint32_t huge = 0xffffffff;
	(void)state;

	for (size_t size = 0; size < full; size++) {
		if (ldcache_parse(bytes, size, &cache) == 0)
			ldcache_find(&cache, "libx.so", 5);
		else
			assert_true(size < 96);
		ldcache_free(&cache);
	}
	memcpy(bytes + 48 + 4, &huge, 4);
	assert_int_equal(ldcache_parse(bytes, full, &cache), 0);
	assert_null(ldcache_find(&cache, "libx.so", 1));
	ldcache_free(&cache);
	memcpy(bytes + 20, &huge, 4);
	assert_int_equal(ldcache_parse(bytes, full, &cache), -EBADMSG);
}

/* The cache of this machine, compared with the loader's own answers. */
static void test_cache_of_this_machine(void **state)
{
	int fd = open("/etc/ld.so.cache", O_RDONLY);
	struct ldcache cache;
	(void)state;

	if (fd < 0)
		skip();
	assert_int_equal(ldcache_read(fd, &cache), 0);
	close(fd);
	assert_non_null(ldcache_find(&cache, "libc.so.6", 0));
	assert_int_equal(access(ldcache_find(&cache, "libc.so.6", 0), R_OK), 0);
	ldcache_free(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_behind_an_old_one),
		cmocka_unit_test(test_damaged_cache),
		cmocka_unit_test(test_cache_of_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
