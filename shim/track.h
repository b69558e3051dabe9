/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we keep for each SSL object, from SSL_new to the last SSL_free. It is found
 * by the object's address in a small table; where another object has that place, it
 * hangs on the object by ex_data, which costs four times as much to ask, and OpenSSL
 * an allocation.
 */
#ifndef SHIM_TRACK_H
#define SHIM_TRACK_H

#include "libssl.h"
#include "tlstall/trace.h"

enum phase {
	PHASE_NEW,	/* no handshake yet */
	PHASE_RUNNING,	/* an unfinished (or failed) one */
	PHASE_FOLLOWED, /* finished; its first read is still of interest */
	PHASE_DONE,	/* finished; reads and writes pass through */
};

struct track {
	const SSL *ssl; /* NULL: free, or a copy by SSL_dup that is not known by its address */
	const struct libssl *lib;
	struct track *next_free;
	bool used;			/* by more than SSL_new */
	bool attached;			/* by ex_data */
	struct tlstall_handshake *slot; /* NULL: none, or no room for it */
	uint64_t number;		/* of that handshake */
	uint64_t finished_number;	/* of the one finished before it */
	uint64_t created;		/* SSL_new, in ticks */
	info_callback *callback;	/* the program's own, set on the SSL */
	uint8_t phase;			/* enum phase */
	uint16_t process;		/* that began the handshake */
	uint8_t in_function;		/* of the op that is being executed */
	uint32_t in_tid;
	uintptr_t in_frame; /* 0: none is */
	uint32_t op_tid;    /* thread of the last op */
	int32_t op_ret;
	bool op_known;
	uint32_t op_error_head;	    /* error queue after the last op */
	uint64_t base_in, base_out; /* BIO counters at the handshake's start */
	void *rbio, *wbio;	    /* as last looked at */
	void *read_end, *write_end; /* their transports */
};

/* Registers our ex_data with that libssl; false: it cannot be tracked. */
bool track_register(const struct libssl *lib);

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

/* The one that hangs on the object by ex_data. */
struct track *track_far(const struct libssl *lib, const SSL *ssl);

/* NULL: nothing known of this object yet. Never allocates. */
static inline struct track *track_get(const struct libssl *lib, const SSL *ssl)
{
	struct track *track = track_near(ssl);

	return __builtin_expect(track && track->used, 1) ? track : track_far(lib, ssl);
}

/* The same, making one if need be; NULL without memory. */
struct track *track_make(const struct libssl *lib, const SSL *ssl);

/* The program's own callback of an SSL; kept where SSL_dup finds it. */
void track_set_callback(struct track *track, const SSL *ssl, info_callback *callback);

/* Whether an op of ours is being executed on this object. */
static inline bool track_is_inside(const struct track *track)
{
	return track->in_frame;
}

/* The program's own callback of a SSL_CTX. */
info_callback *track_ctx_callback(const struct libssl *lib, const SSL_CTX *ctx);
bool track_set_ctx_callback(const struct libssl *lib, SSL_CTX *ctx, info_callback *callback);

#endif
