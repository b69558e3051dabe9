/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes of objects whose session was taken away: OpenSSL lives with that, but functions that
 * read the session do not check for it.
 */
#include "common.h"

static struct pair pair_of(SSL_CTX *client, SSL_CTX *server)
{
	struct pair pair = {
		.client_ctx = client, .server_ctx = server, .client_fd = -1, .server_fd = -1};
	BIO *bio[2];

	NEED(SSL_CTX_up_ref(client) == 1 && SSL_CTX_up_ref(server) == 1);
	NEED((pair.client = SSL_new(client)) && (pair.server = SSL_new(server)));
	NEED(BIO_new_bio_pair(&bio[0], 0, &bio[1], 0) == 1);
	SSL_set_bio(pair.client, bio[0], bio[0]);
	SSL_set_bio(pair.server, bio[1], bio[1]);
	set_role(&pair);
	return pair;
}

static void again(const char *who, SSL *ssl)
{
	printf("%s: session %d\n", who, SSL_get_session(ssl) != NULL);
	printf("%s: %d", who, SSL_renegotiate(ssl));
	printf(" %s\n", error_name(step(ssl)));
}

/* SSL_clear frees the session before it fails. */
static void clear_too_late(struct pair *pair)
{
	NEED(SSL_renegotiate(pair->server) == 1);
	printf("cleared: %d\n", SSL_clear(pair->server));
	again("server", pair->server);
}

static void take_session(struct pair *pair)
{
	NEED(SSL_set_session(pair->client, NULL) == 1);
	again("client", pair->client);
}

int main(void)
{
	SSL_CTX *client = client_context(TLS_client_method()),
		*server = server_context(TLS_server_method());
	SSL_SESSION *session = NULL;

	NEED(SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION) == 1);
	NEED(SSL_CTX_set_session_id_context(server, (const unsigned char *)"none", 4) == 1);
	for (int round = 0; round < 3; round++) {
		struct pair pair = pair_of(client, server);

		NEED(SSL_set_tlsext_host_name(pair.client, "localhost") == 1);
		NEED(!session || SSL_set_session(pair.client, session) == 1);
		printf("finished: %d\n", finish(&pair));
		printf("resumed: %d\n", SSL_session_reused(pair.client));
		if (!session)
			session = SSL_get1_session(pair.client);
		else if (round == 1)
			take_session(&pair);
		else
			clear_too_late(&pair);
		/* else the session counts as broken off, and is not resumed */
		SSL_set_shutdown(pair.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_set_shutdown(pair.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		pair_free(&pair);
	}
	SSL_SESSION_free(session);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
	return 0;
}
