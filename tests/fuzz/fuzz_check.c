/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `tlstall check` over any bytes: as an ELF program with its dependencies,
 * as the loader's cache, and as text.
 */
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/closure.h"
#include "check/ldcache.h"
#include "check/object.h"
#include "check/textscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t sum; /* uses what was read, so that the compiler cannot drop it */

static void look_at_object(const uint8_t *data, size_t size)
{
	struct object object;

	if (object_read_bytes(data, size, &object) == 0) {
		for (size_t i = 0; i < object.needed_count; i++)
			sum += strlen(object.needed[i]);
		sum += object.imports + object.exports + object.constant_count;
	}
	object_free(&object);
}

/* The same through a descriptor, as a program: libraries are searched for where it says. */
static void look_at_program(const uint8_t *data, size_t size)
{
	struct closure closure = {.root = ROOT_OURS, .library_path = "$ORIGIN/${LIB}:$PLATFORM;"};
	struct textscan scan = {.bytes_left = 1 << 20};
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd >= 0 && write(fd, data, size) == (ssize_t)size &&
	    closure_add(&closure, fd, "/nonexistent/program") == 0) {
		textscan_file(fd, &closure.list[0].object, &scan);
		for (size_t i = 0; i < closure.count; i++)
			sum += strlen(library_name(&closure.list[i]));
	}
	close(fd);
	closure_free(&closure);
	sum += scan.found;
}

static void look_at_cache(const uint8_t *data, size_t size)
{
	struct ldcache cache;
	const char *path;

	if (ldcache_parse(data, size, &cache) == 0)
		for (unsigned i = 0; i < 100 && (path = ldcache_find(&cache, "libc.so.6", i)); i++)
			sum += strlen(path);
	ldcache_free(&cache);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct textscan scan = {.bytes_left = size};

	look_at_object(data, size);
	if (size < 1 << 16)
		look_at_program(data, size);
	look_at_cache(data, size);
	textscan_bytes(data, size, &scan);
	sum += scan.found + strlen(scan.openssl);
	return 0;
}
