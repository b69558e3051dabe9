/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake that a test leads through its calls, without OpenSSL. */
#ifndef TESTS_UNIT_SHIM_LIFE_H
#define TESTS_UNIT_SHIM_LIFE_H

#include "handshake.h"

enum { TID = 7, CONNECT = 0, MS = 1000 /* ticks */ };

/* A handshake on a socket that began at tick 1000, and its current time. */
struct life {
	struct tlstall_handshake h;
	uint64_t now;
};

static inline struct life new_life(void)
{
	struct life life = {.now = 1000};

	life.h.start = life.h.progress = life.now;
	life.h.read.bio_class = life.h.write.bio_class = TLSTALL_BIO_SOCKET;
	return life;
}

static inline void enter(struct life *life, uint64_t gap, const struct tlstall_socket *socket)
{
	struct handshake_enter in = {.ticks_per_ms = MS, .tid = TID, .function = CONNECT};

	life->now += gap;
	in.ticks = life->now;
	in.socket = socket;
	handshake_enter(&life->h, &in);
}

static inline struct handshake_leave result(int ret, uint8_t error)
{
	return (struct handshake_leave){.ret = ret, .error = error, .state = 3};
}

static inline enum tlstall_outcome leave(struct life *life, uint64_t duration, struct handshake_leave in)
{
	life->now += duration;
	in.ticks = life->now;
	return handshake_leave(&life->h, &in);
}

static inline enum tlstall_outcome call(struct life *life, uint64_t gap, struct handshake_leave in)
{
	enter(life, gap, NULL);
	return leave(life, 10, in);
}

#endif
