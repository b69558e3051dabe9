/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracks of this process, and the tokens for them in objects of the program. Such an object may
 * be in shared memory, or a copy, so its contents are not trusted. A token names its process, a
 * track and which use of that track, and is valid only if the track has the same token.
 */
#ifndef SHIM_POOL_H
#define SHIM_POOL_H

#include "track.h"

/* NULL without memory. */
struct track *pool_take(const struct libssl *lib, const SSL *ssl);
void pool_give_back(struct track *track);
/*
 * Takes the track from its object, whose thread may free it while another one uses it again: only one
 * of them may. False: the token is no longer that of the track.
 */
bool pool_claim(struct track *track, uint64_t token);
/* NULL: not a token of this process, or an old one. */
struct track *pool_track(const void *token);
/* Forked children have its memory, whatever the program has said: see stay.c. */
void pool_stay(void);

#endif
