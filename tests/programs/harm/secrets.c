/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes of all kinds. Everything that must stay secret is written to the file argv[1], one
 * line of hexadecimal digits each: what SSLKEYLOGFILE gets, keys, sessions, tickets, payload. With
 * a second argument, 8 bytes of it are planted in the trace, at an unaligned position, between bytes
 * that differ from the secret's.
 */
#include "../common.h"

#include <stdint.h>

#include <openssl/rand.h>

#include "tlstall/trace.h"

#define PAYLOAD 64
#define PLANTED 8

static FILE *out;

static void tell(const unsigned char *secret, size_t size)
{
	for (size_t i = 0; i < size; i++)
		fprintf(out, "%02x", secret[i]);
	fputc('\n', out);
}

/* "LABEL client_random secret" */
static void keylog(const SSL *ssl, const char *line)
{
	(void)ssl;
	fprintf(out, "%s\n", strrchr(line, ' ') + 1);
}

static void tell_key(EVP_PKEY *key)
{
	unsigned char *bytes = NULL;
	int size = i2d_PrivateKey(key, &bytes);

	NEED(size > 0);
	tell(bytes, (size_t)size);
	OPENSSL_free(bytes);
}

static SSL_SESSION *tell_session(const SSL *ssl)
{
	SSL_SESSION *session = SSL_get1_session((SSL *)ssl);
	unsigned char master[128];
	const unsigned char *ticket;
	size_t size;

	NEED(session);
	tell(master, SSL_SESSION_get_master_key(session, master, sizeof(master)));
	SSL_SESSION_get0_ticket(session, &ticket, &size);
	tell(ticket, size);
	return session;
}

static void talk(SSL *from, SSL *to)
{
	unsigned char payload[PAYLOAD], got[PAYLOAD];

	NEED(RAND_bytes(payload, sizeof(payload)) == 1);
	tell(payload, sizeof(payload));
	NEED(SSL_write(from, payload, sizeof(payload)) == sizeof(payload));
	NEED(SSL_read(to, got, sizeof(got)) == sizeof(got));
}

/* ---- pre-shared keys ------------------------------------------------------------------ */

static unsigned char psk[32];

static unsigned use_psk(SSL *ssl, const char *hint, char *identity, unsigned room, unsigned char *key,
			unsigned size)
{
	(void)ssl, (void)hint;
	snprintf(identity, room, "client");
	NEED(size >= sizeof(psk));
	memcpy(key, psk, sizeof(psk));
	return sizeof(psk);
}

static unsigned find_psk(SSL *ssl, const char *identity, unsigned char *key, unsigned size)
{
	(void)ssl, (void)identity;
	NEED(size >= sizeof(psk));
	memcpy(key, psk, sizeof(psk));
	return sizeof(psk);
}

/* ---- client certificates ---------------------------------------------------------------- */

static int take_any(int good, X509_STORE_CTX *store)
{
	(void)good, (void)store;
	return 1;
}

static void use_client_key(struct pair *pair)
{
	X509 *certificate;
	EVP_PKEY *key;

	make_certificate("client", &certificate, &key);
	tell_key(key);
	NEED(SSL_use_certificate(pair->client, certificate) == 1);
	NEED(SSL_use_PrivateKey(pair->client, key) == 1);
	SSL_set_verify(pair->server, SSL_VERIFY_PEER, take_any);
	X509_free(certificate);
	EVP_PKEY_free(key);
}

/* ---- handshakes ------------------------------------------------------------------------- */

enum kind { PLAIN, RESUMED, PRE_SHARED, CLIENT_KEY, KINDS };

static void prepare(struct pair *pair, int version, enum kind kind)
{
	SSL_CTX_set_keylog_callback(pair->client_ctx, keylog);
	SSL_CTX_set_keylog_callback(pair->server_ctx, keylog);
	SSL_set_max_proto_version(pair->client, version);
	SSL_CTX_set_max_proto_version(pair->client_ctx, version);
	SSL_set_tlsext_host_name(pair->client, "name.example");
	tell_key(SSL_CTX_get0_privatekey(pair->server_ctx));
	if (kind == PRE_SHARED) {
		SSL_set_psk_client_callback(pair->client, use_psk);
		SSL_set_psk_server_callback(pair->server, find_psk);
		SSL_set_cipher_list(pair->client, "PSK");
	}
	if (kind == CLIENT_KEY)
		use_client_key(pair);
}

static void once_more(struct pair *pair, SSL_SESSION *session)
{
	SSL *client = SSL_new(pair->client_ctx), *server = SSL_new(pair->server_ctx);
	int fds[2];

	NEED(client && server && SSL_set_session(client, session) == 1);
	SSL_set_tlsext_host_name(client, "name.example");
	tcp_sockets(fds, true);
	NEED(SSL_set_fd(client, fds[0]) == 1 && SSL_set_fd(server, fds[1]) == 1);
	/* otherwise the session counts as bad */
	SSL_set_shutdown(pair->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_set_shutdown(pair->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(pair->client);
	SSL_free(pair->server);
	close(pair->client_fd);
	close(pair->server_fd);
	pair->client = client;
	pair->server = server;
	pair->client_fd = fds[0];
	pair->server_fd = fds[1];
	set_role(pair);
	NEED(finish(pair) && SSL_session_reused(client));
	talk(client, server);
	talk(server, client);
}

static void shake_hands(int version, enum kind kind)
{
	struct pair pair = tcp_pair(true);
	SSL_SESSION *session;

	prepare(&pair, version, kind);
	NEED(finish(&pair) && SSL_version(pair.client) == version);
	talk(pair.client, pair.server);
	talk(pair.server, pair.client);
	session = tell_session(pair.client);
	if (kind == RESUMED)
		once_more(&pair, session);
	SSL_SESSION_free(session);
	/* and one that fails */
	ERR_clear_error();
	NEED(write(pair.server_fd, "no record of TLS", 16) == 16);
	SSL_read(pair.client, psk, 0);
	pair_free(&pair);
}

/* ---- planting ------------------------------------------------------------------------------ */

/* Exactly `PLANTED` bytes of the secret: what is before and after them must not be its next by chance. */
static void plant_at(unsigned char *to, const unsigned char *secret)
{
	to[-1] = ~secret[-1];
	memcpy(to, secret, PLANTED);
	to[PLANTED] = ~secret[PLANTED];
}

static void plant(const unsigned char *secret)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[5000];

	NEED(maps != NULL);
	while (fgets(line, sizeof(line), maps)) {
		struct tlstall_header *h;

		if (!strstr(line, " rw-s ") || sscanf(line, "%lx-%lx", &from, &to) != 2)
			continue;
		h = (struct tlstall_header *)from;
		if (h->magic == TLSTALL_MAGIC)
			plant_at((unsigned char *)h + h->section[TLSTALL_SECTION_HANDSHAKES].offset + 793,
				 secret);
	}
	fclose(maps);
}

int main(int argc, char **argv)
{
	NEED(argc >= 2 && (out = fopen(argv[1], "w")) != NULL);
	NEED(RAND_bytes(psk, sizeof(psk)) == 1);
	tell(psk, sizeof(psk));
	for (int kind = 0; kind < KINDS; kind++) {
		shake_hands(TLS1_2_VERSION, kind);
		shake_hands(TLS1_3_VERSION, kind);
	}
	if (argc > 2)
		plant(psk + 13);
	printf("%d handshakes\n", 2 * (KINDS + 1));
	return fclose(out);
}
