/* SPDX-License-Identifier: Apache-2.0 */
#include "look/library.h"

#include <string.h>

#include "look/image.h"
#include "look/memory.h"
#include "tlstall/inside.h"

enum { LIBRARY_SSL, LIBRARY_CRYPTO };
enum { NEED_OPTIONAL, NEED_REQUIRED };

static const struct {
	const char *name;
	int library;
	int need;
} accessors[ACCESSORS] = {
#define ACCESSOR(name, library, need) {#name, LIBRARY_##library, NEED_##need},
#include "look/accessors.def"
#undef ACCESSOR
};

const char *accessor_name(enum accessor accessor)
{
	return accessors[accessor].name;
}

static const struct {
	const char *name;
	enum tlstall_function_kind kind;
} ops[OPS] = {
#define OP(name, kind) {#name, TLSTALL_KIND_##kind},
#include "look/ops.def"
#undef OP
};

const char *op_name(enum op op)
{
	return ops[op].name;
}

enum tlstall_function_kind op_kind(enum op op)
{
	return ops[op].kind;
}

/* Finds the next image from region `*at` on. */
static bool next_image(int memory, const struct regions *regions, unsigned *at, struct image *out)
{
	for (; *at < regions->count; (*at)++) {
		const struct region *region = &regions->list[*at];

		if (region->path[0] == '/' && !region->offset && region->readable &&
		    image_read(memory, region->start, out)) {
			(*at)++;
			return true;
		}
	}
	return false;
}

/* The shim exports the functions that it wraps, but has no objects. */
static bool is_ours(const struct image *image)
{
	char name[IMAGE_NAME];

	return image->name && memory_text(image->memory, image->name, name, sizeof(name)) &&
	       !strcmp(name, "libtlstall.so");
}

static bool needs(const struct image *image, const struct image *other)
{
	char name[IMAGE_NAME], needed[IMAGE_NAME];

	if (!other->name || !memory_text(image->memory, other->name, name, sizeof(name)))
		return false;
	for (unsigned i = 0; i < image->needed_count; i++) {
		if (memory_text(image->memory, image->needed[i], needed, sizeof(needed)) &&
		    !strcmp(name, needed))
			return true;
	}
	return false;
}

/* If libssl and libcrypto are linked into one image, takes that one's function. */
static bool has(const struct image *image, const char *name)
{
	uint64_t size;

	return image_function(image, name, &size);
}

static bool find_crypto(const struct regions *regions, const struct image *ssl, struct image *out)
{
	unsigned at = 0;

	*out = *ssl;
	if (has(ssl, "BIO_new"))
		return true;
	while (next_image(ssl->memory, regions, &at, out)) {
		if (needs(ssl, out) && has(out, "BIO_new"))
			return true;
	}
	return false;
}

static void find_ops(const struct image *ssl, struct libssl_copy *out)
{
	for (unsigned i = 0; i < OPS; i++)
		out->ops[i].start = image_function(ssl, ops[i].name, &out->ops[i].size);
}

static bool take(const struct regions *regions, const struct image *ssl, struct libssl_copy *out)
{
	struct image crypto;
	bool found = find_crypto(regions, ssl, &crypto);
	uint64_t size;

	*out = (struct libssl_copy){.start = ssl->start, .end = ssl->end};
	out->alone = !found || crypto.start != ssl->start;
	for (unsigned i = 0; i < ACCESSORS; i++) {
		if (accessors[i].library == LIBRARY_SSL)
			out->function[i] = image_function(ssl, accessors[i].name, &size);
		else if (found)
			out->function[i] = image_function(&crypto, accessors[i].name, &size);
		if (!out->function[i] && accessors[i].need == NEED_REQUIRED)
			return false;
	}
	find_ops(ssl, out);
	return true;
}

/*
 * For a program that contains OpenSSL and was not stripped: symbols that are in the file but not in
 * memory.
 */
static void read_names(pid_t pid, const struct region *region, struct image *image,
		       struct names *names)
{
	*names = (struct names){0};
	if (image->code < TLSTALL_INSIDE_CODE || has(image, TLSTALL_INSIDE_CRYPTO))
		return;
	names_read(pid, region, names);
	image->names = names;
}

static void try_image(const struct regions *regions, const struct region *region,
		      const struct image *image, struct libraries *out)
{
	struct libssl_copy *library = &out->list[out->count];

	if (!has(image, "SSL_connect") || is_ours(image))
		return;
	if (!take(regions, image, library)) {
		out->foreign = region->path;
		return;
	}
	library->path = region->path;
	out->count++;
	out->least = image->start < out->least ? image->start : out->least;
	out->most = image->end > out->most ? image->end : out->most;
}

void libraries_find(pid_t pid, int memory, const struct regions *regions, struct libraries *out)
{
	struct image image;
	struct names names;
	unsigned at = 0;

	*out = (struct libraries){.least = UINT64_MAX};
	while (out->count < LIBRARIES && next_image(memory, regions, &at, &image)) {
		const struct region *region = &regions->list[at - 1];

		if (!has(&image, "SSL_connect"))
			read_names(pid, region, &image, &names);
		try_image(regions, region, &image, out);
		if (image.names) {
			out->starved |= names.starved;
			names_free(&names);
		}
	}
}

/* Where OpenSSL is part of a program, only its functions are known. */
const struct libssl_copy *libraries_at(const struct libraries *libraries, uint64_t address,
				       enum op *op)
{
	for (unsigned i = 0; i < libraries->count; i++) {
		const struct libssl_copy *library = &libraries->list[i];

		if (address < library->start || address >= library->end)
			continue;
		for (*op = 0; *op < OPS; ++*op) {
			uint64_t start = library->ops[*op].start;

			if (start && address >= start && address < start + library->ops[*op].size)
				return library;
		}
		return library->alone ? library : NULL;
	}
	*op = OPS;
	return NULL;
}
