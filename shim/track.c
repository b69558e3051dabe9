/* SPDX-License-Identifier: Apache-2.0 */
#include "track.h"

#include <errno.h>
#include <stdatomic.h>

#include "attempt.h"
#include "clock.h"
#include "large.h"
#include "mapping.h"
#include "pool.h"

LARGE struct track *track_table[TRACK_PLACES];
/* False: no object has a token in its ex_data yet, which saves the lookup. */
static bool any_attached;

/* ---- finding a track -------------------------------------------------------- */

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
	pool_give_back(track);
}

/*
 * An object from the program's own allocator may lie in memory shared with other processes, so its
 * address does not identify it.
 */
static bool is_near(const struct libssl *lib)
{
	return !lib->program_memory;
}

static void note_attached(void)
{
	__atomic_store_n(&any_attached, true, __ATOMIC_RELEASE);
}

static bool may_be_attached(const struct libssl *lib)
{
	return lib->program_memory || __atomic_load_n(&any_attached, __ATOMIC_ACQUIRE);
}

static bool attach(const struct track *track, const SSL *ssl)
{
	const struct libssl *lib = track->lib;

	if (!lib->SSL_set_ex_data((SSL *)ssl, lib->ssl_index, (void *)(uintptr_t)track->token))
		return false;
	note_attached();
	return true;
}

/* ---- ex_data: reports SSL_new, SSL_dup and SSL_free ---------------------------- */

/*
 * OpenSSL's table of these functions may also lie in shared memory and contain
 * what another process registered. The argument is therefore the number of a
 * copy, not a pointer, and is checked.
 */
static const struct libssl *registered(int index, const void *argp)
{
	uintptr_t id = (uintptr_t)argp - 1;
	const struct libssl *lib =
		id < LIBSSL_MAX ? __atomic_load_n(&libssl_copies[id], __ATOMIC_ACQUIRE) : NULL;

	return lib && lib->ssl_index == index ? lib : NULL;
}

static void on_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	const struct libssl *lib = registered(index, argp);
	struct track *track = mapping.header && lib && is_near(lib) ? pool_take(lib, parent) : NULL;
	struct track *near;

	(void)ptr, (void)argl;
	if (!track)
		return;
	track->created = clock_ticks();
	if (put_near(track))
		return;
	/* the place belongs to an object that was freed without our knowledge */
	near = track_near(parent);
	if (near)
		drop(near);
	if (near && put_near(track))
		return;
	if (lib->CRYPTO_set_ex_data(ad, index, (void *)(uintptr_t)track->token))
		note_attached();
	else
		pool_give_back(track);
}

/* The duplicate has a track of its own. 1.1.1 declares void * where 3.0 has void **. */
static int on_dup(CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **from_d, int index,
		  long argl, void *argp)
{
	const struct libssl *lib = registered(index, argp);

	(void)from, (void)argl;
	*from_d = lib ? lib->CRYPTO_get_ex_data(to, index) : NULL;
	return 1;
}

/* The track is in another process. */
static __attribute__((noinline)) void freed_elsewhere(const struct libssl *lib, const SSL *ssl,
						      CRYPTO_EX_DATA *ad)
{
	attempt_freed_elsewhere(ssl, lib->CRYPTO_get_ex_data(ad, lib->hint_index));
}

static void on_free(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	const struct libssl *lib = registered(index, argp);
	struct track *near = track_near(parent), *far = ptr ? pool_track(ptr) : NULL;
	int saved = errno;

	(void)argl;
	if (far && far != near && pool_claim(far, (uintptr_t)ptr))
		drop(far);
	if (near)
		drop(near);
	if (!far && !near && lib && lib->program_memory)
		freed_elsewhere(lib, parent, ad);
	errno = saved;
}

static __attribute__((noinline)) struct track *attached_to(const struct libssl *lib, const SSL *ssl)
{
	return lib->ssl_index >= 0 ? pool_track(lib->SSL_get_ex_data(ssl, lib->ssl_index)) : NULL;
}

/* ---- registering ex_data ---------------------------------------------------------- */

/*
 * The context that this thread made last with our ex_data, since it began to make one, and whether
 * our ex_data was registered when it began.
 */
static __thread struct {
	const void *ctx;
	uint32_t round;
	bool registered;
} made;

static void on_ctx_new(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
	(void)ptr, (void)ad, (void)index, (void)argl, (void)argp;
	made.ctx = parent;
}

void track_begin_ctx(const struct libssl *lib)
{
	made.ctx = NULL;
	made.round = lib->round;
	made.registered = lib->ssl_index >= 0;
}

/* Others of its threads may find the same; one forgets what was registered. */
static void forget_indexes(struct libssl *copy)
{
	uint32_t round = made.round;

	if (!atomic_compare_exchange_strong(&copy->round, &round, round + 1))
		return;
	copy->has_callbacks = false;
	copy->ctx_index = copy->callback_index = copy->hint_index = -1;
	copy->ssl_index = -1;
	copy->registering = false;
}

/*
 * A copy that was not loaded again did not call us because the program has set another library
 * context as default, which has ex_data of its own: our indexes may be the program's there.
 */
bool track_end_ctx(const struct libssl *lib, const SSL_CTX *ctx)
{
	if (!made.registered || made.ctx == ctx)
		return true;
	if (!lib->stays) {
		forget_indexes((struct libssl *)lib);
		return true;
	}
	((struct libssl *)lib)->divided = true;
	return false;
}

static void *default_context(const struct libssl *lib)
{
	return lib->OSSL_LIB_CTX_set0_default ? lib->OSSL_LIB_CTX_set0_default(NULL) : NULL;
}

/* What is made now does not have our ex_data. */
static bool is_divided(const struct libssl *lib)
{
	return lib->divided || default_context(lib) != lib->default_context;
}

bool track_has_our_data(const struct libssl *lib, const SSL *ssl)
{
	const struct track *track = track_near(ssl);

	if (!lib->divided)
		return true;
	return track ? !track->by_address : attached_to(lib, ssl) != NULL;
}

bool track_may_keep(const struct libssl *lib, const SSL *ssl)
{
	return default_context(lib) == lib->default_context && track_has_our_data(lib, ssl);
}

/*
 * Qt registers one index and also uses the two after it. If it registered before us, those two must
 * not be ours. OpenSSL sorts all indexes whenever an object is freed, so there are no more than
 * needed.
 */
#define UNUSED_INDEXES 2

static int plain_index(const struct libssl *lib, int class_index)
{
	return lib->CRYPTO_get_ex_new_index(class_index, 0, NULL, NULL, NULL, NULL);
}

static void leave_room(const struct libssl *lib, int class_index)
{
	for (int i = 0; i < UNUSED_INDEXES; i++)
		plain_index(lib, class_index);
}

static bool publish_index(_Atomic int *to, int index)
{
	int none = -1;

	return atomic_compare_exchange_strong(to, &none, index);
}

/* The program has replaced OpenSSL's allocation functions (CRYPTO_set_mem_functions). */
static bool has_program_memory(const struct libssl *lib)
{
	void *(*allocate)(size_t size, const char *file, int line) = NULL;

	lib->CRYPTO_get_mem_functions(&allocate, NULL, NULL);
	return allocate != lib->CRYPTO_malloc;
}

/*
 * Another thread is registering, which takes a microsecond. If the end does not come, as after a
 * fork, this thread goes ahead; whichever is second unregisters its functions.
 */
static bool registered_by_another(struct libssl *copy)
{
	if (!atomic_exchange(&copy->registering, true))
		return false;
	for (int i = 0; i < 20000; i++) {
		if (copy->ssl_index >= 0)
			return true;
	}
	return false;
}

static void unregister(const struct libssl *lib, int index)
{
	if (lib->CRYPTO_free_ex_index)
		lib->CRYPTO_free_ex_index(CRYPTO_EX_INDEX_SSL, index);
}

bool track_register_now(const struct libssl *lib)
{
	struct libssl *copy = (struct libssl *)lib;
	int ssl, ctx;

	if (lib->foreign)
		return false;
	if (registered_by_another(copy))
		return true;
	/* another process may have set a callback on a shared object */
	copy->program_memory = has_program_memory(lib);
	copy->default_context = default_context(lib);
	if (copy->program_memory)
		copy->has_callbacks = true;
	leave_room(lib, CRYPTO_EX_INDEX_SSL);
	leave_room(lib, CRYPTO_EX_INDEX_SSL_CTX);
	ctx = lib->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL_CTX, 0, NULL, on_ctx_new, NULL, NULL);
	if (lib->program_memory) {
		publish_index(&copy->hint_index, plain_index(lib, CRYPTO_EX_INDEX_SSL));
		publish_index(&copy->callback_index, plain_index(lib, CRYPTO_EX_INDEX_SSL));
	}
	ssl = lib->CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_SSL, 0, (void *)(lib->id + 1ul), on_new,
					   on_dup, on_free);
	if (ssl < 0 || ctx < 0)
		return false;
	publish_index(&copy->ctx_index, ctx);
	if (!publish_index(&copy->ssl_index, ssl))
		unregister(lib, ssl);
	return true;
}

bool track_register_callback(const struct libssl *lib)
{
	struct libssl *copy = (struct libssl *)lib;

	if (!track_register(lib))
		return false;
	if (lib->callback_index < 0) {
		leave_room(lib, CRYPTO_EX_INDEX_SSL);
		publish_index(&copy->callback_index, plain_index(lib, CRYPTO_EX_INDEX_SSL));
	}
	return lib->callback_index >= 0;
}

struct track *track_far(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = may_be_attached(lib) ? attached_to(lib, ssl) : NULL;

	return track && track->used ? track : NULL;
}

static inline __attribute__((always_inline)) struct track *make(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_near(ssl);

	if (!track && may_be_attached(lib))
		track = attached_to(lib, ssl);
	if (track)
		return track;
	track = pool_take(lib, ssl);
	if (!track)
		return NULL;
	track->by_address = is_divided(lib);
	if ((is_near(lib) && put_near(track)) || (!track->by_address && attach(track, ssl)))
		return track;
	pool_give_back(track);
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

/* claim_stale() takes the token before it looks at the frame: one of the two sees the other. */
bool track_hold(struct track *track, const struct libssl *lib, const SSL *ssl, uintptr_t frame)
{
	uintptr_t before = __atomic_exchange_n(&track->in_frame, frame, __ATOMIC_SEQ_CST);

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (attached_to(lib, ssl) == track)
		return true;
	__atomic_compare_exchange_n(&track->in_frame, &frame, before, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
	return false;
}
