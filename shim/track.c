/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "attempt.h"
#include "clock.h"
#include "mapping.h"

struct track *track_table[TRACK_PLACES];
/* No track hangs by ex_data until one does. */
static bool any_attached;

/* ---- memory: blocks of our own, so that the program's malloc sees nothing --- */

#define BLOCK 128
static struct track *free_list;
static uint32_t free_lock;

/*
 * Held for a few instructions only; whoever finds it taken takes another way. One that
 * another process holds was copied by a fork, with nobody left to give it up.
 */
static bool try_lock(void)
{
	uint32_t own = mapping_identity()->process + 1u, holder = 0;

	return __atomic_compare_exchange_n(&free_lock, &holder, own, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED) ||
	       (holder != own && __atomic_compare_exchange_n(&free_lock, &holder, own, false,
							     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

static void unlock(void)
{
	__atomic_store_n(&free_lock, 0, __ATOMIC_RELEASE);
}

static struct track *new_block(void)
{
	struct track *block = mmap(NULL, BLOCK * sizeof(*block), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (block == MAP_FAILED)
		return NULL;
	for (int i = 1; i + 1 < BLOCK; i++)
		block[i].next_free = &block[i + 1];
	if (try_lock()) {
		block[BLOCK - 1].next_free = free_list;
		free_list = &block[1];
		unlock();
	}
	return block;
}

static struct track *allocate(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = NULL;

	for (int i = 0; i < 100 && !track; i++) {
		if (!try_lock())
			continue;
		track = free_list;
		if (track)
			free_list = track->next_free;
		unlock();
		if (!track)
			break;
	}
	if (!track)
		track = new_block();
	if (track)
		*track = (struct track){.lib = lib, .ssl = ssl};
	return track;
}

static void release(struct track *track)
{
	track->ssl = NULL;
	for (int i = 0; i < 100; i++) {
		if (!try_lock())
			continue;
		track->next_free = free_list;
		free_list = track;
		unlock();
		return;
	}
}

/* ---- where a track is found ------------------------------------------------- */

static bool put_near(struct track *track)
{
	struct track *none = NULL;

	return __atomic_compare_exchange_n(track_place(track->ssl), &none, track, false,
					   __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

static void drop(struct track *track)
{
	struct track **place = track_place(track->ssl);

	attempt_freed(track);
	if (__atomic_load_n(place, __ATOMIC_RELAXED) == track)
		__atomic_store_n(place, NULL, __ATOMIC_RELEASE);
	release(track);
}

static bool attach(struct track *track, const SSL *ssl)
{
	if (!track->attached)
		track->attached =
			track->lib->SSL_set_ex_data((SSL *)ssl, track->lib->ssl_index, track);
	if (track->attached)
		__atomic_store_n(&any_attached, true, __ATOMIC_RELEASE);
	return track->attached;
}

/* ---- ex_data: tells of SSL_new, SSL_dup and SSL_free --------------------------- */

static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct track *track = mapping.header ? allocate(argp, parent) : NULL;

	(void)ptr, (void)ad, (void)index, (void)argl;
	if (!track)
		return;
	track->created = clock_ticks();
	if (put_near(track))
		return;
	track->attached = track->lib->CRYPTO_set_ex_data(ad, index, track);
	if (track->attached)
		__atomic_store_n(&any_attached, true, __ATOMIC_RELEASE);
	else
		release(track);
}

/*
 * The copy is another object with a handshake of its own, but with the program's callback
 * of the first; which SSL_dup may have set by our wrapper already. 1.1.1 has void * for
 * void **.
 */
static int on_dup(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **from_d, int index,
		  long argl, void *argp)
{
	const struct libssl *lib = argp;
	const struct track *original = *from_d;
	struct track *copy = lib->CRYPTO_get_ex_data(to, index);

	(void)from, (void)argl;
	*from_d = copy;
	if (!original || !original->callback || (copy && copy->callback))
		return 1;
	if (!copy)
		*from_d = copy = allocate(lib, NULL);
	if (copy) {
		copy->attached = copy->used = true;
		copy->callback = original->callback;
	}
	return 1;
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	struct track *near = track_near(parent), *far = ptr;
	int saved = errno;

	(void)ad, (void)index, (void)argl, (void)argp;
	if (far && far != near)
		drop(far);
	if (near)
		drop(near);
	errno = saved;
}

static void publish_index(int *to, int index)
{
	int none = -1;

	__atomic_compare_exchange_n(to, &none, index, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/*
 * Qt registers one index and uses the two behind it as well. Whoever does so before us
 * must not find us there.
 */
#define UNUSED_INDEXES 4

static void leave_room(const struct libssl *lib, int class_index)
{
	for (int i = 0; i < UNUSED_INDEXES; i++)
		lib->CRYPTO_get_ex_new_index(class_index, 0, NULL, NULL, NULL, NULL);
}

bool track_register(const struct libssl *lib)
{
	struct libssl *copy = (struct libssl *)lib;
	int ssl, ctx;

	if (__atomic_load_n(&lib->ssl_index, __ATOMIC_ACQUIRE) >= 0)
		return true;
	if (lib->foreign)
		return false;
	leave_room(lib, CRYPTO_EX_INDEX_SSL);
	leave_room(lib, CRYPTO_EX_INDEX_SSL_CTX);
	ctx = lib->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, NULL, NULL, NULL);
	ssl = lib->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, copy, on_new, on_dup, on_free);
	if (ssl < 0 || ctx < 0)
		return false;
	publish_index(&copy->ctx_index, ctx);
	publish_index(&copy->ssl_index, ssl);
	return true;
}

struct track *track_far(const struct libssl *lib, const SSL *ssl)
{
	struct track *track;

	if (!__atomic_load_n(&any_attached, __ATOMIC_ACQUIRE) || lib->ssl_index < 0)
		return NULL;
	track = lib->SSL_get_ex_data(ssl, lib->ssl_index);
	return track && track->used ? track : NULL;
}

static struct track *make(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_near(ssl);

	if (!track && __atomic_load_n(&any_attached, __ATOMIC_ACQUIRE))
		track = lib->SSL_get_ex_data(ssl, lib->ssl_index);
	if (track)
		return track;
	track = allocate(lib, ssl);
	if (!track || put_near(track) || attach(track, ssl))
		return track;
	release(track);
	return NULL;
}

struct track *track_make(const struct libssl *lib, const SSL *ssl)
{
	struct track *track;

	if (!track_register(lib))
		return NULL;
	track = track_get(lib, ssl);
	if (track)
		return track;
	track = make(lib, ssl);
	if (track)
		track->used = true;
	return track;
}

void track_set_callback(struct track *track, const SSL *ssl, info_callback *callback)
{
	track->callback = callback;
	if (callback)
		attach(track, ssl);
}

/* A function pointer and void * are the same thing on every system with dlsym(). */
union callback {
	info_callback *function;
	void *data;
};

info_callback *track_ctx_callback(const struct libssl *lib, const SSL_CTX *ctx)
{
	union callback callback = {NULL};

	if (lib->ctx_index >= 0)
		callback.data = lib->SSL_CTX_get_ex_data(ctx, lib->ctx_index);
	return callback.function;
}

bool track_set_ctx_callback(const struct libssl *lib, SSL_CTX *ctx, info_callback *function)
{
	union callback callback = {function};

	if (!track_register(lib))
		return false;
	((struct libssl *)lib)->has_callbacks = true;
	return lib->SSL_CTX_set_ex_data(ctx, lib->ctx_index, callback.data);
}
