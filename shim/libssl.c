/* SPDX-License-Identifier: Apache-2.0 */
#include "libssl.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "elf.h"

struct libssl *libssl_copies[LIBSSL_MAX];

/* Objects of no known libssl (libgnutls-openssl): whatever comes next in the search order. */
static struct libssl foreign = {.foreign = true, .ssl_index = -1, .ctx_index = -1};

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

/* Fills all functions; false where it is not an OpenSSL that we understand. */
static bool resolve(struct libssl *lib, const struct elf_object *ssl,
		    const struct elf_object *crypto)
{
	for (size_t i = 0; i < MEMBERS; i++) {
		const struct member *m = &members[i];
		void *address = elf_symbol(m->in_libcrypto ? crypto : ssl, m->name);

		if (!address && m->required)
			return false;
		set_member(lib, m, address);
	}
	return !strncmp(lib->OpenSSL_version(0), "OpenSSL ", 8) &&
	       lib->OpenSSL_version_num() >= 0x10101000ul;
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

static bool learn(const struct elf_object *object, void *context)
{
	struct crypto_search search = {.ssl = object};
	struct libssl lib = {
		.start = object->start,
		.size = object->end - object->start,
		.ssl_index = -1,
		.ctx_index = -1,
	};

	(void)context;
	if (strncmp(elf_soname(object), "libssl", 6) || known(object->start))
		return false;
	if (!elf_each(is_libcrypto, &search))
		search.found = *object;
	if (resolve(&lib, object, &search.found))
		publish(&lib);
	return false;
}

static const struct libssl *next_in_order(void)
{
	if (!__atomic_load_n(&foreign.start, __ATOMIC_ACQUIRE)) {
		for (size_t i = 0; i < MEMBERS; i++) {
			if (!members[i].in_libcrypto)
				set_member(&foreign, &members[i],
					   dlsym(RTLD_NEXT, members[i].name));
		}
		__atomic_store_n(&foreign.start, UINTPTR_MAX, __ATOMIC_RELEASE);
	}
	return &foreign;
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

/* Nothing matched: a single copy it must be, unless another library comes before it. */
static const struct libssl *fallback(void)
{
	const struct libssl *only = libssl_copies[0];
	void *next = dlsym(RTLD_NEXT, "SSL_connect");

	if (only && (!libssl_copies[1] || !next) && (!next || inside(only, next)))
		return only;
	return next_in_order();
}

static void rescan(void)
{
	static uint64_t seen;
	uint64_t loads = elf_loads();

	if (__atomic_exchange_n(&seen, loads, __ATOMIC_ACQ_REL) != loads)
		elf_each(learn, NULL);
}

const struct libssl *libssl_find(const void *object)
{
	const struct libssl *lib = match(object);

	if (lib)
		return lib;
	rescan();
	lib = match(object);
	return lib ? lib : fallback();
}

static const struct libssl *match_method(const void *method)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && inside(lib, method))
			return lib;
	}
	return NULL;
}

const struct libssl *libssl_of_method(const void *method)
{
	const struct libssl *lib = match_method(method);

	if (lib)
		return lib;
	rescan();
	lib = match_method(method);
	return lib ? lib : fallback();
}
