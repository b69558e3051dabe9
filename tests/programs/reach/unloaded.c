/* SPDX-License-Identifier: Apache-2.0 */
/* A plugin that shakes hands with itself; loaded, and unloaded each time, by unloads. PADDED: its size differs, and
 * with it what lies where the last one lay. */
#include "../common.h"

int shake_hands(void);
char padding[PADDED * 4096];

int shake_hands(void)
{
	struct pair pair = bio_pair(0);
	bool done = finish(&pair);

	pair_free(&pair);
	return done;
}
