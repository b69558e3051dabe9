/* SPDX-License-Identifier: Apache-2.0 */
#include "copies.h"

#include <string.h>
#include <sys/mman.h>

#include "elf.h"
#include "large.h"
#include "members.h"
#include "system.h"

struct libssl *libssl_copies[LIBSSL_MAX];
/* The last copy in each place, which may have been unloaded since. */
static struct libssl *placed[LIBSSL_MAX];

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

static bool put(const struct libssl *made, struct libssl *copy, uint8_t i)
{
	struct libssl *none = NULL;

	*copy = *made;
	copy->id = i;
	return __atomic_compare_exchange_n(&libssl_copies[i], &none, copy, false, __ATOMIC_RELEASE,
					   __ATOMIC_ACQUIRE);
}

static bool is_free(uint8_t i)
{
	return !__atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);
}

/*
 * In the place of one that was unloaded: the same one, which gets its number again, or if all
 * numbers were used, any. Somebody who reads the table may still see the old one, whose size is 0.
 */
static bool put_again(const struct libssl *made, bool any)
{
	for (uint8_t i = 0; i < LIBSSL_MAX; i++) {
		struct libssl *copy = __atomic_load_n(&placed[i], __ATOMIC_ACQUIRE);

		if (is_free(i) && copy && !copy->size && (any || copies_are_same(copy, made)))
			return put(made, copy, i);
	}
	return false;
}

/*
 * Other threads may add the same one at this moment: musl's walks hold no lock. Whoever comes second
 * helps to publish what the first has placed. Returns what is there now; NULL: another copy.
 */
static struct libssl *add_at(const struct libssl *made, struct libssl *room, uint8_t i)
{
	struct libssl *there = NULL, *none = NULL;

	*room = *made;
	room->id = i;
	if (__atomic_compare_exchange_n(&placed[i], &there, room, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		there = room;
	else if (!there->size || there->start != made->start)
		return NULL;
	__atomic_compare_exchange_n(&libssl_copies[i], &none, there, false, __ATOMIC_RELEASE,
				    __ATOMIC_ACQUIRE);
	return there;
}

void copies_add(const struct libssl *made)
{
	struct libssl *room, *there = NULL;

	if (copies_know(made->start) || put_again(made, false))
		return;
	room = make_room();
	if (!room)
		return;
	for (uint8_t i = 0; !there && i < LIBSSL_MAX; i++)
		there = add_at(made, room, i);
	if (there != room)
		give_back(room);
	if (!there)
		put_again(made, true);
}

void copies_drop(uint8_t i)
{
	/* whoever has just read the table finds nothing in it */
	placed[i]->size = 0;
	__atomic_store_n(&libssl_copies[i], NULL, __ATOMIC_RELEASE);
}

bool copies_are_same(const struct libssl *a, const struct libssl *b)
{
	bool same = a->start == b->start;

	for (size_t i = 0; same && i < MEMBERS; i++)
		same = !memcmp((const char *)a + members[i].offset,
			       (const char *)b + members[i].offset, sizeof(void *));
	return same;
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
	const struct libssl *first = NULL;

	for (int i = 0; i < LIBSSL_MAX; i++) {
		const struct libssl *lib = __atomic_load_n(&libssl_copies[i], __ATOMIC_ACQUIRE);

		if (lib && object && lib->foreign)
			return lib;
		first = first ? first : lib;
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
