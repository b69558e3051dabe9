/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for unloads, of the same layout for each NAME: its code has the same addresses as that of the one
 * that was there before. Handshakes are for the server NAME.
 */
#include "../common.h"

int NAME(void);
int shake_hands(void);

__attribute__((noinline)) int NAME(void)
{
	struct pair pair = bio_pair(0);
	bool done;

	SSL_set_tlsext_host_name(pair.client, SERVER);
	done = finish(&pair);
	pair_free(&pair);
	return done;
}

int shake_hands(void)
{
	return NAME() == 1;
}
