/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/peers.h"

#include <stdlib.h>
#include <string.h>

static void cut_port(char *address)
{
	char *colon = strrchr(address, ':');

	if (colon)
		*colon = '\0';
}

static struct peer_count *find(struct peers *peers, uint8_t role, const char *address)
{
	struct peer_count *fewest = &peers->list[0];

	for (unsigned i = 0; i < peers->count; i++) {
		struct peer_count *peer = &peers->list[i];

		if (peer->role == role && !strcmp(peer->address, address))
			return peer;
		if (peer->bad < fewest->bad)
			fewest = peer;
	}
	if (peers->count < PEERS_KEPT)
		fewest = &peers->list[peers->count++];
	fewest->role = role;
	snprintf(fewest->address, sizeof(fewest->address), "%s", address);
	return fewest;
}

void peers_add(struct peers *peers, const struct subject *subject)
{
	const struct tlstall_handshake *h = &subject->h;
	uint8_t role = h->role < 3 ? h->role : 0;
	char buffer[WORD_SIZE], address[WORD_SIZE];

	if (h->outcome == TLSTALL_OUTCOME_OK)
		return;
	snprintf(address, sizeof(address), "%s", word_address(&h->peer, buffer));
	/* every connection of a client has another port */
	if (role == TLSTALL_ROLE_SERVER)
		cut_port(address);
	if (*address)
		find(peers, role, address)->bad++;
}

static int by_count(const void *a, const void *b)
{
	const struct peer_count *one = a, *other = b;

	if (one->bad != other->bad)
		return one->bad > other->bad ? -1 : 1;
	return strcmp(one->address, other->address);
}

void peers_sort(struct peers *peers)
{
	qsort(peers->list, peers->count, sizeof(peers->list[0]), by_count);
}
