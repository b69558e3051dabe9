/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "attempt.h"
#include "clock.h"
#include "mapping.h"

/* Before the first op ex_data holds the time of SSL_new, marked by its lowest bit. */
static bool is_time(const void *data)
{
	return (uintptr_t)data & 1;
}

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
	       (holder != own &&
		__atomic_compare_exchange_n(&free_lock, &holder, own, false, __ATOMIC_ACQUIRE,
					    __ATOMIC_RELAXED));
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

static struct track *allocate(void)
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
		memset(track, 0, sizeof(*track));
	return track;
}

static void release(struct track *track)
{
	for (int i = 0; i < 100; i++) {
		if (!try_lock())
			continue;
		track->next_free = free_list;
		free_list = track;
		unlock();
		return;
	}
}

/* ---- ex_data --------------------------------------------------------------- */

static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	const struct libssl *lib = argp;

	(void)parent, (void)ptr, (void)argl;
	if (mapping.header)
		lib->CRYPTO_set_ex_data(ad, index, (void *)(uintptr_t)(clock_ticks() | 1));
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
	struct track *original = is_time(*from_d) ? NULL : *from_d;
	struct track *copy = lib->CRYPTO_get_ex_data(to, index);

	(void)from, (void)argl;
	if (is_time(copy))
		copy = NULL;
	if (original && original->callback && !copy && (copy = allocate())) {
		copy->lib = lib;
		copy->callback = original->callback;
	}
	*from_d = copy;
	return 1;
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	int saved = errno;

	(void)parent, (void)ad, (void)index, (void)argl, (void)argp;
	if (!ptr || is_time(ptr))
		return;
	attempt_freed(ptr);
	release(ptr);
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

struct track *track_get(const struct libssl *lib, const SSL *ssl)
{
	int index = __atomic_load_n(&lib->ssl_index, __ATOMIC_ACQUIRE);
	void *data = index >= 0 ? lib->SSL_get_ex_data(ssl, index) : NULL;

	return is_time(data) ? NULL : data;
}

struct track *track_make(const struct libssl *lib, const SSL *ssl)
{
	void *data;
	struct track *track;

	if (!track_register(lib))
		return NULL;
	data = lib->SSL_get_ex_data(ssl, lib->ssl_index);
	if (data && !is_time(data))
		return data;
	track = allocate();
	if (!track)
		return NULL;
	track->lib = lib;
	track->created = (uintptr_t)data & ~(uintptr_t)1;
	if (lib->SSL_set_ex_data((SSL *)ssl, lib->ssl_index, track))
		return track;
	release(track);
	return NULL;
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

	return track_register(lib) && lib->SSL_CTX_set_ex_data(ctx, lib->ctx_index, callback.data);
}
