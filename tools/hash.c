/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <stdbool.h>
#include <string.h>
#include <sys/random.h>

/*
 * A polynomial over the integers modulo a prime, at a point that is chosen at random: two keys of n
 * bytes meet with a probability of n / 7 / 2^61, whatever they are (L. Carter, M. Wegman, 1979). A
 * multiplication by a second random number spreads what is left of their difference over all bits.
 */
#define BITS 61
#define PRIME ((1ull << BITS) - 1)
#define CHUNK 7u /* bytes: always below the prime */

/* Below 2^61 + 4. */
static uint64_t times(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;
	uint64_t sum = (uint64_t)(product & PRIME) + (uint64_t)(product >> BITS);

	return (sum & PRIME) + (sum >> BITS);
}

static const uint64_t *secrets(void)
{
	/* used if the kernel has no random numbers yet */
	static uint64_t secret[2] = {0x0b7e151628aed2a6ull, 0x13243f6a8885a308ull};
	static bool asked;

	if (!asked) {
		if (getrandom(secret, sizeof(secret), GRND_NONBLOCK) == sizeof(secret)) {
			secret[0] &= PRIME;
			secret[1] &= PRIME;
		}
		asked = true;
	}
	return secret;
}

uint64_t hash_of(const void *bytes, size_t size)
{
	const uint64_t *secret = secrets();
	uint64_t hash = size & PRIME;

	for (size_t at = 0; at < size; at += CHUNK) {
		uint64_t chunk = 0;

		memcpy(&chunk, (const char *)bytes + at, size - at < CHUNK ? size - at : CHUNK);
		hash = times(hash, secret[0]) + chunk;
	}
	return times(hash, secret[1]);
}
