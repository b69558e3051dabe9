/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ask.h"
#include "clock.h"
#include "large.h"
#include "mapping.h"
#include "system.h"

/* Tracks in a block. Blocks do not come from malloc, so the program's allocator sees nothing. */
#define BLOCK 128u
#define BLOCKS 8192u
LARGE static struct track *blocks[BLOCKS];
/* The first one takes no system call, for which a filter may kill. */
LARGE static struct track first_block[BLOCK];
static uint32_t begun; /* tracks ever used */
static struct track *free_list;
static uint32_t free_lock;

/*
 * Objects in shared memory may be freed by another process, and nothing tells us. Beyond this many
 * tracks the oldest are reused.
 */
#define SHARED_MAX 16384u
#define PROBES 16

/*
 * Held for a few instructions only; whoever finds it taken does something else. A lock of another
 * process was copied by a fork, and nobody will release it.
 */
static bool try_lock(uint16_t process)
{
	uint32_t own = process + 1u, holder = 0;

	return __atomic_compare_exchange_n(&free_lock, &holder, own, false, __ATOMIC_ACQUIRE,
					   __ATOMIC_RELAXED) ||
	       (holder != own && __atomic_compare_exchange_n(&free_lock, &holder, own, false,
							     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
}

static void unlock(void)
{
	__atomic_store_n(&free_lock, 0, __ATOMIC_RELEASE);
}

/* ---- tokens -------------------------------------------------------------------- */

/* Index and use count, 20 bits each, and 24 bits that differ between processes; never 0. */
#define INDEX_BITS 20
#define INDEX_MASK ((1u << INDEX_BITS) - 1)

static uint64_t salt(uint16_t process)
{
	static uint64_t known; /* the low bits: for which process */
	uint64_t last = __atomic_load_n(&known, __ATOMIC_RELAXED), made;

	if (__builtin_expect(last && (uint16_t)last == process, 1))
		return last - process;
	made = ((uint64_t)ask_pid() * 0x9e3779b97f4a7c15ull ^ clock_ticks()) << 40 | 1ull << 63;
	__atomic_store_n(&known, made | process, __ATOMIC_RELAXED);
	return made;
}

static struct track *at(uint64_t index)
{
	struct track *block = index / BLOCK < BLOCKS
				      ? __atomic_load_n(&blocks[index / BLOCK], __ATOMIC_ACQUIRE)
				      : NULL;

	return block ? &block[index % BLOCK] : NULL;
}

struct track *pool_track(const void *token)
{
	struct track *track = at((uintptr_t)token & INDEX_MASK);

	/* free tracks have token 0 */
	return token && track && __atomic_load_n(&track->token, __ATOMIC_ACQUIRE) == (uintptr_t)token
		       ? track
		       : NULL;
}

/* ---- memory -------------------------------------------------------------------- */

static struct track *make_block(uint32_t number)
{
	struct track *none = NULL, *block;
	int saved = errno;

	if (number == 0) {
		__atomic_store_n(&blocks[0], first_block, __ATOMIC_RELEASE);
		return first_block;
	}
	block = system_mmap(NULL, BLOCK * sizeof(*block), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED) {
		errno = saved;
		return NULL;
	}
	if (__atomic_compare_exchange_n(&blocks[number], &none, block, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return block;
	system_munmap(block, BLOCK * sizeof(*block));
	return none;
}

void pool_stay(void)
{
	uint32_t used = __atomic_load_n(&begun, __ATOMIC_RELAXED);

	for (uint32_t i = 0; i < BLOCKS && i * BLOCK < used; i++) {
		struct track *block = __atomic_load_n(&blocks[i], __ATOMIC_ACQUIRE);

		if (block)
			system_madvise(block, BLOCK * sizeof(*block), MADV_DOFORK);
	}
}

/* A track never used before: pages are touched only as needed. */
static __attribute__((noinline)) struct track *new_one(void)
{
	uint32_t index = __atomic_fetch_add(&begun, 1, __ATOMIC_RELAXED);
	struct track *block;

	if (index >= BLOCK * BLOCKS) {
		__atomic_store_n(&begun, BLOCK * BLOCKS, __ATOMIC_RELAXED);
		return NULL;
	}
	block = __atomic_load_n(&blocks[index / BLOCK], __ATOMIC_ACQUIRE);
	if (!block)
		block = make_block(index / BLOCK);
	if (!block)
		return NULL;
	block[index % BLOCK].index = index;
	return &block[index % BLOCK];
}

static struct track *from_list(uint16_t process)
{
	struct track *track = NULL;

	for (int i = 0; i < 100 && !track; i++) {
		if (!try_lock(process))
			continue;
		track = free_list;
		if (track)
			free_list = track->next_free;
		unlock();
		if (!track)
			break;
	}
	return track;
}

bool pool_claim(struct track *track, uint64_t token)
{
	return token && __atomic_compare_exchange_n(&track->token, &token, 0, false, __ATOMIC_ACQUIRE,
						    __ATOMIC_RELAXED);
}

/* Of an object that may have been freed elsewhere; those of other objects are given back. */
static bool may_be_stale(const struct track *track)
{
	const struct libssl *lib = __atomic_load_n(&track->lib, __ATOMIC_RELAXED);

	return lib && lib->program_memory && !track_is_inside(track);
}

static struct track *claim_stale(uint64_t index, bool running)
{
	struct track *track = at(index);
	uint64_t token = track ? __atomic_load_n(&track->token, __ATOMIC_ACQUIRE) : 0;

	if (!token || !may_be_stale(track) || (!running && track_phase(track) == PHASE_RUNNING) ||
	    !pool_claim(track, token))
		return NULL;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!track_is_inside(track))
		return track;
	/* a thread has entered a call with it: see track_hold() */
	__atomic_store_n(&track->token, token, __ATOMIC_RELEASE);
	return NULL;
}

/* Avoids tracks in the middle of a handshake, as long as these are few. */
static __attribute__((noinline)) struct track *use_again(void)
{
	static uint32_t cursor;
	struct track *track = NULL;

	for (int i = 1; i <= PROBES && !track; i++)
		track = claim_stale(__atomic_fetch_add(&cursor, 1, __ATOMIC_RELAXED) % SHARED_MAX,
				    i == PROBES);
	return track;
}

/* Users of another object may come across this track: they read only these two fields. */
static void name(struct track *track, const SSL *ssl, uint64_t token)
{
	__atomic_store_n(&track->ssl, ssl, __ATOMIC_RELAXED);
	__atomic_store_n(&track->token, token, __ATOMIC_RELEASE);
}

/*
 * Clears all but those two, the index, the use count and the copy. Word by word: a track that is used
 * again may be read by the thread that had it.
 */
static void reset(struct track *track)
{
	typedef uint64_t __attribute__((may_alias)) word;
	word *words = (word *)(void *)track;

	/* words 0, 2, 3 and 4 stay */
	_Static_assert(offsetof(struct track, phase) == 8 && offsetof(struct track, token) == 16 &&
			       offsetof(struct track, index) == 24 && offsetof(struct track, use) == 28 &&
			       offsetof(struct track, lib) == 32 &&
			       offsetof(struct track, next_free) == 40 && sizeof(*track) % 8 == 0,
		       "whole words");
	__atomic_store_n(&words[1], 0, __ATOMIC_RELAXED);
	for (size_t i = 5; i < sizeof(*track) / 8; i++)
		__atomic_store_n(&words[i], 0, __ATOMIC_RELAXED);
}

struct track *pool_take(const struct libssl *lib, const SSL *ssl)
{
	uint16_t process = mapping_identity()->process;
	struct track *track = from_list(process);

	if (!track && lib->program_memory && __atomic_load_n(&begun, __ATOMIC_RELAXED) >= SHARED_MAX)
		track = use_again();
	else if (!track)
		track = new_one();
	if (track) {
		uint64_t use = track->use + 1;

		reset(track);
		__atomic_store_n(&track->lib, lib, __ATOMIC_RELAXED);
		track->read.fd = -1;
		track->use = (uint32_t)use;
		name(track, ssl, salt(process) | (use & INDEX_MASK) << INDEX_BITS | track->index);
	}
	return track;
}

void pool_give_back(struct track *track)
{
	uint16_t process = mapping_identity()->process;

	name(track, NULL, 0);
	for (int i = 0; i < 100; i++) {
		if (!try_lock(process))
			continue;
		track->next_free = free_list;
		free_list = track;
		unlock();
		return;
	}
}
