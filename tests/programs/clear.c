/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_clear after a handshake and in the middle of one; the objects are reused. */
#include "common.h"

static void fresh_bios(struct pair *pair)
{
	BIO *client_bio, *server_bio;

	NEED(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0) == 1);
	SSL_set_bio(pair->client, client_bio, client_bio);
	SSL_set_bio(pair->server, server_bio, server_bio);
}

static void clear(struct pair *pair)
{
	NEED(SSL_clear(pair->client) == 1);
	NEED(SSL_clear(pair->server) == 1);
	fresh_bios(pair);
}

int main(void)
{
	struct pair pair = bio_pair(0);

	printf("first %d\n", finish(&pair));
	SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_set_shutdown(pair.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	clear(&pair);
	printf("half %s\n", error_name(step(pair.client)));
	clear(&pair);
	printf("last %d\n", finish(&pair));
	pair_free(&pair);
	return 0;
}
