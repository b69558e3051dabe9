/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes that did not end well, by peer, in bounded memory: if there are too many peers, a new one takes the place and
 * the count of the one with the fewest (Space-Saving). A count is therefore too high by at most the smallest one.
 */
#ifndef TOOLS_SERVE_PEERS_H
#define TOOLS_SERVE_PEERS_H

#include <stdio.h>

#include "view/subject.h"
#include "words/words.h"

#define PEERS_KEPT 1000
/* Series of one metric. */
#define PEERS_SHOWN_MAX 100

struct peers {
	struct peer_count {
		char address[WORD_SIZE];
		uint8_t role; /* enum tlstall_role, of the traced program */
		uint64_t bad;
	} list[PEERS_KEPT];
	unsigned count;
};

void peers_add(struct peers *peers, const struct subject *subject);
/* Puts those with most of them first. */
void peers_sort(struct peers *peers);

#endif
