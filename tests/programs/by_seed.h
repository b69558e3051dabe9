/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that follow from a seed, also for OpenSSL: a thread sets by_seed_state to its own seed (not 0), and
 * the program calls RAND_set_rand_method(&by_seed), which OpenSSL 3.0 calls deprecated but keeps.
 */
#ifndef TESTS_PROGRAMS_BY_SEED_H
#define TESTS_PROGRAMS_BY_SEED_H

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/rand.h>
#include <stdint.h>

static inline unsigned by_seed_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (unsigned)(*state >> 11);
}

static __thread uint64_t by_seed_state;

static int by_seed_fill(unsigned char *to, int count)
{
	for (int i = 0; i < count; i++)
		to[i] = (unsigned char)by_seed_next(&by_seed_state);
	return 1;
}

static int by_seed_is_seeded(void)
{
	return 1;
}

static const RAND_METHOD by_seed = {
	.bytes = by_seed_fill, .pseudorand = by_seed_fill, .status = by_seed_is_seeded};

#endif
