/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the shim keeps for each SSL object, from SSL_new to the last SSL_free. It is found by the
 * object's address in a small table; if another object has that place, or the program's memory may
 * be shared with other processes, by a token in the object's ex_data, which costs four times as
 * much to read, and an allocation by OpenSSL.
 */
#ifndef SHIM_TRACK_H
#define SHIM_TRACK_H

#include "libssl.h"
#include "tlstall/trace.h"

/* In this order: call_is_over() compares. */
enum phase {
	PHASE_NEW,	/* no handshake yet */
	PHASE_RUNNING,	/* an unfinished (or failed) one */
	PHASE_FOLLOWED, /* finished; its first read is still of interest */
	PHASE_DONE,	/* finished; reads and writes pass through */
};

/* Read atomically in each call, as pointers are; marked for the thread sanitizer. */
#ifdef __SANITIZE_THREAD__
typedef const SSL *_Atomic tracked_object;
#else
typedef const SSL *tracked_object;
#endif

struct track {
	tracked_object ssl; /* NULL: free */
	/* beside the object: all that a read or write after the handshake touches */
	uint8_t phase; /* enum phase */
	bool op_known;
	uint64_t token;		 /* 0: free */
	uint32_t index, use;	   /* index in the pool, and how often it was taken */
	const struct libssl *lib;
	struct track *next_free;
	bool used;			/* by more than SSL_new */
	bool by_address;		/* the object does not have our ex_data */
	uint32_t ended_tid;		/* of the handshake's last op, while the first read goes on */
	struct tlstall_handshake *slot; /* NULL: none, or no slot was free */
	uint64_t number;		/* of that handshake */
	uint64_t finished_number;	/* of the one finished before it */
	uint64_t created;		/* SSL_new, in ticks */
	uint16_t process;		/* that began the handshake */
	uint8_t in_function;		/* of the op that is being executed */
	uint32_t in_tid;
	uintptr_t in_frame; /* 0: none */
	uint32_t op_tid;    /* thread of the last op */
	int32_t op_ret;
	uint32_t op_error_head;	    /* error queue after the last op */
	uint32_t fatal_tid;	    /* thread of the op that failed */
	uint64_t fatal_cpu;	    /* its CPU clock at that moment */
	uint64_t base_in, base_out; /* BIO counters at the handshake's start */
	void *rbio, *wbio;	    /* as last looked at */
	void *read_end, *write_end; /* their transports */
	/* the BIOs and the socket, kept here because other processes may write to the file */
	struct tlstall_transport read, write;
	uint64_t socket_inode; /* 0: not known */
};

/* Registers the shim's ex_data with that libssl; false: it cannot be tracked. */
bool track_register_now(const struct libssl *lib);
static inline bool track_register(const struct libssl *lib)
{
	return __builtin_expect(lib->ssl_index >= 0, 1) || track_register_now(lib);
}

/* The same for a program's callback on one object: few programs set any. */
bool track_register_callback(const struct libssl *lib);

/*
 * Before and after a context is made: a copy that was unloaded and is loaded again, at the same
 * addresses, does not call us, and is registered with again. False: nothing may be kept with this
 * context.
 */
void track_begin_ctx(const struct libssl *lib);
bool track_end_ctx(const struct libssl *lib, const SSL_CTX *ctx);
/* Whether the object has our ex_data, and whether we may write to it: only if that is certain. */
bool track_has_our_data(const struct libssl *lib, const SSL *ssl);
bool track_may_keep(const struct libssl *lib, const SSL *ssl);

/*
 * Another thread may be looking for a track to use again (pool.c): these three are read and written
 * as a whole, and a slot is read once.
 */
static inline uint8_t track_phase(const struct track *track)
{
	return __atomic_load_n(&track->phase, __ATOMIC_RELAXED);
}

static inline void track_set_phase(struct track *track, uint8_t phase)
{
	__atomic_store_n(&track->phase, phase, __ATOMIC_RELAXED);
}

static inline uintptr_t track_frame(const struct track *track)
{
	return __atomic_load_n(&track->in_frame, __ATOMIC_RELAXED);
}

static inline void track_set_frame(struct track *track, uintptr_t frame)
{
	__atomic_store_n(&track->in_frame, frame, __ATOMIC_RELAXED);
}

static inline struct tlstall_handshake *track_slot(const struct track *track)
{
	return __atomic_load_n(&track->slot, __ATOMIC_RELAXED);
}

static inline void track_set_slot(struct track *track, struct tlstall_handshake *slot)
{
	__atomic_store_n(&track->slot, slot, __ATOMIC_RELAXED);
}

#define TRACK_PLACES 4096
extern struct track *track_table[TRACK_PLACES] __attribute__((visibility("hidden")));

static inline struct track **track_place(const SSL *ssl)
{
	return &track_table[(uint64_t)(uintptr_t)ssl * 0x9e3779b97f4a7c15ull >> 52];
}

static inline struct track *track_near(const SSL *ssl)
{
	struct track *track = __atomic_load_n(track_place(ssl), __ATOMIC_ACQUIRE);

	return track && track->ssl == ssl ? track : NULL;
}

/* Looks the track up in the object's ex_data. */
struct track *track_far(const struct libssl *lib, const SSL *ssl);

/* NULL: the object is not known yet. Never allocates. */
static inline struct track *track_get(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_near(ssl);

	return __builtin_expect(track && track->used, 1) ? track : track_far(lib, ssl);
}

/* The same, but makes one if needed; NULL: out of memory. */
struct track *track_make(const struct libssl *lib, const SSL *ssl);

/*
 * Marks an op on the object as in progress, which keeps another thread from using the track again
 * (pool.c). False: that has happened since the track was looked up.
 */
bool track_hold(struct track *track, const struct libssl *lib, const SSL *ssl, uintptr_t frame);

/* Whether a recorded op on this object is in progress. */
static inline bool track_is_inside(const struct track *track)
{
	return track_frame(track);
}

#endif
