/* SPDX-License-Identifier: Apache-2.0 */
#include "libssl.h"

#include <string.h>

#include "chain.h"
#include "chained.h"
#include "copies.h"
#include "elf.h"
#include "mapping.h"
#include "members.h"

/* Used if there is no libssl at all: leads to other functions with these names. */
static struct libssl nowhere = {.foreign = true, .ssl_index = -1};

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

static void resolve(struct libssl *lib, const struct elf_object *ssl,
		    const struct elf_object *crypto)
{
	void *addresses[MEMBERS];

	for (size_t i = 0; i < MEMBERS; i++) {
		const struct elf_object *in = members[i].in_libcrypto ? crypto : ssl;

		addresses[i] = in->symbols ? elf_symbol(in, members[i].name) : NULL;
	}
	members_take(lib, addresses);
}

/* Calls go on to another library's version of a function, if there is one. */
static void set_forward(struct libssl *lib, bool chain)
{
#define INTERPOSED(name, ...)                                                                      \
	lib->name = chain && lib->real.name && chain_next.name ? chained.name : lib->real.name;
#include "functions.def"
}

static struct elf_object find_libcrypto(const struct elf_object *ssl)
{
	struct crypto_search search = {.ssl = ssl};

	/* libcrypto may be linked into the same object */
	if (elf_symbol(ssl, "OpenSSL_version_num"))
		return *ssl;
	if (ssl->map)
		elf_each_beside(ssl, is_libcrypto, &search);
	else
		elf_each(is_libcrypto, &search);
	return search.found;
}

static struct libssl copy_in(const struct elf_object *object)
{
	return (struct libssl){
		.start = object->start,
		.size = object->end - object->start,
		.ssl_index = -1,
		.ctx_index = -1,
		.callback_index = -1,
		.hint_index = -1,
	};
}

static bool stays(const struct elf_object *object)
{
	/* walks miss those of other namespaces, and musl unloads nothing */
	return !*object->path || object->map || elf_value(object, DT_FLAGS_1) & DF_1_NODELETE;
}

static bool learn(const struct elf_object *object, void *context)
{
	struct libssl lib = copy_in(object);
	struct elf_object crypto;

	(void)context;
	if (copies_know(object->start) || !libssl_is_copy(object))
		return false;
	crypto = find_libcrypto(object);
	resolve(&lib, object, &crypto);
	chain_find();
	/* no other library is in front of libssl in another namespace */
	set_forward(&lib, !object->map);
	lib.stays = stays(object);
	copies_add(&lib);
	return false;
}

/* ---- copies that are unloaded ------------------------------------------------------------- */

static bool is_still_there(const struct elf_object *object, void *context)
{
	uint32_t *there = context;
	struct libssl now = copy_in(object);
	struct elf_object crypto;

	if (!copies_know(object->start) || !libssl_is_copy(object))
		return false;
	crypto = find_libcrypto(object);
	resolve(&now, object, &crypto);
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && copies_are_same(lib, &now))
			*there |= 1u << i;
	}
	return false;
}

/*
 * OpenSSL linked into a plugin leaves with it, and what is loaded later may lie at the same
 * addresses. One that is loaded again at its own place before anybody looks is found by
 * track_end_ctx().
 */
static void forget_unloaded(void)
{
	uint32_t there = 0;

	elf_each(is_still_there, &there);
	for (uint8_t i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && !lib->stays && !(there >> i & 1))
			copies_drop(i);
	}
}

bool libssl_learn_inside(const struct elf_object *object, void *const addresses[])
{
	struct libssl lib = copy_in(object);

	if (copies_know(object->start))
		return false;
	members_take(&lib, addresses);
	if (lib.foreign)
		return false;
	lib.stays = true; /* since the start */
	/* calls within the object bypass other libraries */
	set_forward(&lib, false);
	copies_add(&lib);
	return copies_know(object->start);
}

void libssl_go_through(const struct elf_object *object, void *const addresses[])
{
	struct libssl *lib = (struct libssl *)libssl_holding((void *)object->start);

	members_take(lib, addresses);
	set_forward(lib, false);
}

/* Made once. If two threads make it, both write the same. */
static const struct libssl *none(void)
{
	static bool made;
	void *const nothing[MEMBERS] = {NULL};
	struct libssl lib = {.foreign = true, .ssl_index = -1};

	if (__atomic_load_n(&made, __ATOMIC_ACQUIRE))
		return &nowhere;
	members_take(&lib, nothing);
	chain_find();
#define INTERPOSED(name, ...) lib.name = chain_next.name ? chain_next.name : lib.real.name;
#include "functions.def"
	memcpy(&nowhere, &lib, sizeof(lib));
	__atomic_store_n(&made, true, __ATOMIC_RELEASE);
	return &nowhere;
}

static const struct libssl *fallback(const void *object)
{
	const struct libssl *lib = copies_instead(object);

	return lib ? lib : none();
}

/* A lock that another thread held at the fork stays locked in the child. */
static bool may_lock(void)
{
	return !__atomic_load_n(&mapping.header, __ATOMIC_ACQUIRE) ||
	       !mapping_identity()->threaded_parent;
}

static uint64_t loads_seen, unloads_seen;

/* One thread at a time, while nothing is loaded or unloaded. */
static bool look_again(void *unused)
{
	uint64_t loads = elf_loads(), unloads = elf_unloads();

	(void)unused;
	if (__atomic_load_n(&unloads_seen, __ATOMIC_ACQUIRE) != unloads && !elf_may_be_locked())
		forget_unloaded();
	if (__atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE) != loads)
		elf_each(learn, NULL);
	__atomic_store_n(&unloads_seen, unloads, __ATOMIC_RELEASE);
	__atomic_store_n(&loads_seen, loads, __ATOMIC_RELEASE);
	return true;
}

static void rescan(void)
{
	if (__atomic_load_n(&loads_seen, __ATOMIC_ACQUIRE) != elf_loads() ||
	    __atomic_load_n(&unloads_seen, __ATOMIC_ACQUIRE) != elf_unloads())
		elf_hold(look_again, NULL);
}

const struct libssl *libssl_find(const void *object)
{
	const struct libssl *lib = copies_match(object);

	if (lib)
		return lib;
	rescan();
	lib = copies_match(object);
	return lib ? lib : fallback(object);
}

bool libssl_any(void)
{
	rescan();
	return copies_instead(NULL);
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

/* Whatever a plugin does with its OpenSSL begins with a context: it may lie where another one was. */
const struct libssl *libssl_of_method(const void *method)
{
	const struct libssl *lib = libssl_holding(method);

	if (lib && !may_lock())
		return lib;
	rescan();
	lib = libssl_holding(method);
	return lib ? lib : fallback(method);
}
