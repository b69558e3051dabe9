/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for unloads, of the same layout for each NAME: its code has the same addresses as that of the one
 * that was there before. Handshakes are for the server NAME. AT_LOAD: before any of its functions is looked
 * up; KEPT: with the contexts that the first plugin made.
 */
#include "../common.h"

#ifndef KEPT
#define KEPT 0
#endif

int NAME(void);
int shake_hands(void);

/* Leaves them to the plugins that come later. */
static void keep(struct pair *pair)
{
	struct pair *kept = malloc(sizeof(*kept));
	char text[32];

	NEED(kept);
	*kept = *pair;
	pair->client_ctx = pair->server_ctx = NULL;
	snprintf(text, sizeof(text), "%p", (void *)kept);
	setenv("KEPT", text, 1);
}

static struct pair make(void)
{
	const char *text = KEPT ? getenv("KEPT") : NULL;
	struct pair pair, *kept;
	BIO *bio[2];
	void *found;

	if (!text || sscanf(text, "%p", &found) != 1) {
		pair = bio_pair(0);
		if (KEPT)
			keep(&pair);
		return pair;
	}
	kept = found;
	pair = (struct pair){.client = SSL_new(kept->client_ctx),
			     .server = SSL_new(kept->server_ctx),
			     .client_fd = -1,
			     .server_fd = -1};
	NEED(BIO_new_bio_pair(&bio[0], 0, &bio[1], 0) == 1);
	SSL_set_bio(pair.client, bio[0], bio[0]);
	SSL_set_bio(pair.server, bio[1], bio[1]);
	set_role(&pair);
	return pair;
}

__attribute__((noinline)) int NAME(void)
{
	struct pair pair = make();
	bool done;

	SSL_set_tlsext_host_name(pair.client, SERVER);
	done = finish(&pair);
	pair_free(&pair);
	return done;
}

#ifdef AT_LOAD
static int done;

__attribute__((constructor)) static void at_load(void)
{
	done = NAME() == 1;
}

int shake_hands(void)
{
	return done;
}
#else
int shake_hands(void)
{
	return NAME() == 1;
}
#endif
