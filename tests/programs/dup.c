/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_dup before a handshake and after one; each copy is used by itself. */
#include "common.h"

static void connect_copy(struct pair *pair, SSL *copy, const char *what)
{
	struct pair fresh = bio_pair(0);
	BIO *client_bio, *server_bio;

	SSL_free(fresh.client);
	fresh.client = copy;
	NEED(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0) == 1);
	SSL_set_bio(fresh.client, client_bio, client_bio);
	SSL_set_bio(fresh.server, server_bio, server_bio);
	SSL_set_connect_state(fresh.client);
	printf("%s: %d\n", what, finish(&fresh));
	pair_free(&fresh);
	(void)pair;
}

int main(void)
{
	struct pair pair = bio_pair(0);
	SSL *before = SSL_dup(pair.client);
	SSL *after;

	NEED(before && before != pair.client);
	NEED(finish(&pair));
	/* On a used object SSL_dup only counts a reference. */
	NEED(after = SSL_dup(pair.client));
	printf("the same object after the handshake: %d\n", after == pair.client);
	SSL_free(after);
	connect_copy(&pair, before, "copy");
	pair_free(&pair);
	return 0;
}
