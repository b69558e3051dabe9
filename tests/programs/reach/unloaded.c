/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin with both ends of a handshake, loaded and unloaded each time by unloads. PADDED changes its
 * size, and so its place: where the unwind tables of one plugin were, the next one has zeros or nothing.
 */
#include "../common.h"

int shake_hands(void);
char padding[PADDED * 0x40000];

int shake_hands(void)
{
	struct pair pair = bio_pair(0);
	bool done = finish(&pair);

	pair_free(&pair);
	return done;
}
