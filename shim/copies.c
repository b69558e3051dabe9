/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include <sys/mman.h>

#include "elf.h"
#include "large.h"
#include "system.h"

struct libssl *libssl_copies[LIBSSL_MAX];

bool libssl_is_copy(const struct elf_object *object)
{
	static const char *const methods[] = {"TLS_method", "SSLv23_method", "SSLv23_client_method"};

	if (elf_is_own(object->start) || !elf_symbol(object, "SSL_connect") ||
	    !elf_symbol(object, "SSL_new"))
		return false;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		if (elf_symbol(object, methods[i]))
			return true;
	}
	return false;
}

/*
 * The first copy has a place here: if there is no memory left, the program's calls must still reach
 * its OpenSSL.
 */
LARGE static struct libssl first_place;
static bool first_place_is_taken;

/* Not malloc: we may be inside the program's own allocator. */
static struct libssl *make_room(void)
{
	struct libssl *room;

	if (!__atomic_exchange_n(&first_place_is_taken, true, __ATOMIC_ACQUIRE))
		return &first_place;
	room = system_mmap(NULL, sizeof(*room), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	return room == MAP_FAILED ? NULL : room;
}

static void give_back(struct libssl *room)
{
	if (room == &first_place)
		__atomic_store_n(&first_place_is_taken, false, __ATOMIC_RELEASE);
	else
		system_munmap(room, sizeof(*room));
}

void copies_add(const struct libssl *made)
{
	struct libssl *copy = make_room();

	if (!copy)
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
	give_back(copy);
}

bool copies_know(uintptr_t start)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && lib->start == start)
			return true;
	}
	return false;
}

const struct libssl *copies_match(const void *object)
{
	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && object && libssl_made(lib, object))
			return lib;
	}
	return NULL;
}

const struct libssl *copies_instead(const void *object)
{
	const struct libssl *first = __atomic_load_n(&libssl_copies[0], __ATOMIC_ACQUIRE);

	for (int i = 0; object && i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && lib->foreign)
			return lib;
	}
	return first;
}

static bool inside(const struct libssl *lib, const void *address)
{
	return (uintptr_t)address - lib->start < lib->size;
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
