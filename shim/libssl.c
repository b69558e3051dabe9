/* SPDX-License-Identifier: Apache-2.0 */
#include "libssl.h"

#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "elf.h"

struct libssl *libssl_copies[LIBSSL_MAX];
bool libssl_elsewhere;

/* Where there is no libssl at all every function fails: better than a jump to nowhere. */
static struct libssl nowhere = {.foreign = true, .ssl_index = -1, .ctx_index = -1};

static void *absent(void)
{
	return NULL;
}

struct member {
	const char *name;
	size_t offset;
	bool required, in_libcrypto;
};

#define REQUIRED true
#define OPTIONAL false
static const struct member members[] = {
#define INTERPOSED(name, kind, need) {#name, offsetof(struct libssl, name), need, false},
#define LIBSSL(name, need) {#name, offsetof(struct libssl, name), need, false},
#define LIBCRYPTO(name, need) {#name, offsetof(struct libssl, name), need, true},
#include "functions.def"
};
#define MEMBERS (sizeof(members) / sizeof(members[0]))

static void set_member(struct libssl *lib, const struct member *member, void *address)
{
	memcpy((char *)lib + member->offset, &address, sizeof(address));
}

static void *get_member(const struct libssl *lib, const struct member *member)
{
	void *address;

	memcpy(&address, (const char *)lib + member->offset, sizeof(address));
	return address;
}

struct crypto_search {
	const struct elf_object *ssl;
	struct elf_object found;
};

static bool is_libcrypto(const struct elf_object *object, void *context)
{
	struct crypto_search *search = context;
	const char *soname = elf_soname(object);

	if (strncmp(soname, "libcrypto", 9) || !elf_needs(search->ssl, soname))
		return false;
	search->found = *object;
	return true;
}

static bool is_openssl(const struct libssl *lib)
{
	return !strncmp(lib->OpenSSL_version(0), "OpenSSL ", 8) &&
	       lib->OpenSSL_version_num() >= 0x10101000ul;
}

/*
 * What an object of another make (LibreSSL, libgnutls-openssl, OpenSSL before 1.1.1) has
 * of our functions is called in it; nothing else is.
 */
static void resolve(struct libssl *lib, const struct elf_object *ssl,
		    const struct elf_object *crypto)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		const struct member *m = &members[i];
		const struct elf_object *in = m->in_libcrypto ? crypto : ssl;
		void *address = in->symbols ? elf_symbol(in, m->name) : NULL;

		lib->foreign |= !address && m->required;
		set_member(lib, m, address);
	}
	lib->foreign = lib->foreign || !is_openssl(lib);
	for (size_t i = 0; lib->foreign && i < MEMBERS; i++) {
		if (!get_member(lib, &members[i]))
			set_member(lib, &members[i], (void *)absent);
	}
}

static void publish(const struct libssl *made)
{
	/* Not malloc: we may be inside the program's allocator's first use of TLS. */
	struct libssl *copy = mmap(NULL, sizeof(*copy), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (copy == MAP_FAILED)
		return;
	*copy = *made;
	for (uint8_t i = 0; i < LIBSSL_MAX; i++) {
		struct libssl *expected = NULL;

		copy->id = i;
		if (__atomic_compare_exchange_n(&libssl_copies[i], &expected, copy, false,
						__ATOMIC_RELEASE, __ATOMIC_ACQUIRE))
			return;
		if (expected->start == made->start)
			break;
	}
	munmap(copy, sizeof(*copy));
}

static bool known(uintptr_t start)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && lib->start == start)
			return true;
	}
	return false;
}

static struct elf_object find_libcrypto(const struct elf_object *ssl)
{
	struct crypto_search search = {.ssl = ssl};

	/* linked into one with its libcrypto? */
	if (elf_symbol(ssl, "OpenSSL_version_num"))
		return *ssl;
	if (ssl->map)
		elf_each_beside(ssl, is_libcrypto, &search);
	else
		elf_each(is_libcrypto, &search);
	return search.found;
}

/* By what it defines: names of files and sonames vary. */
static bool learn(const struct elf_object *object, void *context)
{
	struct libssl lib = {
		.start = object->start,
		.size = object->end - object->start,
		.ssl_index = -1,
		.ctx_index = -1,
	};
	struct elf_object crypto;

	(void)context;
	if (elf_is_own(object->start) || known(object->start) ||
	    !elf_symbol(object, "SSL_connect") || !elf_symbol(object, "SSL_new"))
		return false;
	crypto = find_libcrypto(object);
	resolve(&lib, object, &crypto);
	publish(&lib);
	libssl_elsewhere |= object->map != NULL;
	return false;
}

static const struct libssl *match(const void *object)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && object && libssl_made(lib, object))
			return lib;
	}
	return NULL;
}

static bool inside(const struct libssl *lib, const void *address)
{
	return (uintptr_t)address - lib->start < lib->size;
}

/*
 * Nothing matched. The structures of libgnutls-openssl have no method in them, all
 * others do; an object may be NULL.
 */
static const struct libssl *fallback(const void *object)
{
	const struct libssl *first = __atomic_load_n(&libssl_copies[0], __ATOMIC_ACQUIRE);

	for (int i = 0; object && i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && lib->foreign)
			return lib;
	}
	if (first)
		return first;
	for (size_t i = 0; i < MEMBERS; i++)
		set_member(&nowhere, &members[i], (void *)absent);
	return &nowhere;
}

static void rescan(void)
{
	static uint64_t seen;
	uint64_t loads = elf_loads();

	if (__atomic_load_n(&seen, __ATOMIC_ACQUIRE) == loads)
		return;
	elf_each(learn, NULL);
	__atomic_store_n(&seen, loads, __ATOMIC_RELEASE);
}

const struct libssl *libssl_find(const void *object)
{
	const struct libssl *lib = match(object);

	if (lib)
		return lib;
	rescan();
	lib = match(object);
	return lib ? lib : fallback(object);
}

const struct libssl *libssl_holding(const void *address)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && inside(lib, address))
			return lib;
	}
	return NULL;
}

bool libssl_any(void)
{
	rescan();
	return __atomic_load_n(&libssl_copies[0], __ATOMIC_ACQUIRE);
}

const struct libssl *libssl_at(const void *address)
{
	const struct libssl *lib = libssl_holding(address);
	struct elf_object object;

	if (lib)
		return lib;
	rescan();
	lib = libssl_holding(address);
	if (lib || !elf_elsewhere(address, &object))
		return lib;
	libssl_learn_beside(&object);
	return libssl_holding(address);
}

void libssl_learn_beside(const struct elf_object *object)
{
	elf_each_beside(object, learn, NULL);
}

const struct libssl *libssl_of_method(const void *method)
{
	const struct libssl *lib = libssl_holding(method);

	if (lib)
		return lib;
	rescan();
	lib = libssl_holding(method);
	return lib ? lib : fallback(method);
}
