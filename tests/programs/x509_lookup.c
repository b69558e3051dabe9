/* SPDX-License-Identifier: Apache-2.0 */
/* The server requests a certificate; the client's callback has none until the third call. */
#include "common.h"

static int asked;

static int give_certificate(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	(void)ssl;
	if (++asked < 3)
		return -1;
	make_certificate("client", certificate, key);
	return 1;
}

static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

int main(void)
{
	struct pair pair = bio_pair(0);
	int client = SSL_ERROR_WANT_READ, server = SSL_ERROR_WANT_READ;

	SSL_set_verify(pair.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, accept_any);
	SSL_CTX_set_client_cert_cb(pair.client_ctx, give_certificate);
	while (client != SSL_ERROR_NONE || server != SSL_ERROR_NONE) {
		if (client != SSL_ERROR_NONE)
			printf("client %s\n", error_name(client = step(pair.client)));
		if (server != SSL_ERROR_NONE)
			printf("server %s\n", error_name(server = step(pair.server)));
		NEED(client != SSL_ERROR_SSL && server != SSL_ERROR_SSL);
	}
	printf("asked %d times\n", asked);
	pair_free(&pair);
	return 0;
}
