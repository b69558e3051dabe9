/* SPDX-License-Identifier: Apache-2.0 */
/* A callback ("lookup", "hello" or "verify") asks for a retry, and the program never continues. */
#include "stall.h"

static int no_certificate_yet(SSL *ssl, X509 **certificate, EVP_PKEY **key)
{
	(void)ssl;
	(void)certificate;
	(void)key;
	return -1;
}

static int no_answer_yet(SSL *ssl, int *alert, void *argument)
{
	(void)ssl;
	(void)alert;
	(void)argument;
	return SSL_CLIENT_HELLO_RETRY;
}

static int not_verified_yet(X509_STORE_CTX *store, void *argument)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());

	(void)argument;
	return SSL_set_retry_verify(ssl);
}

int main(int argc, char **argv)
{
	struct pair pair = tcp_pair(true);
	int client, server;

	NEED(argc > 1);
	if (!strcmp(argv[1], "lookup"))
		SSL_CTX_set_client_cert_cb(pair.client_ctx, no_certificate_yet);
	else if (!strcmp(argv[1], "hello"))
		SSL_CTX_set_client_hello_cb(pair.server_ctx, no_answer_yet, NULL);
	else
		SSL_CTX_set_cert_verify_callback(pair.client_ctx, not_verified_yet, NULL);
	if (!strcmp(argv[1], "verify"))
		SSL_set_verify(pair.client, SSL_VERIFY_PEER, NULL);
	else
		SSL_set_verify(pair.server, SSL_VERIFY_PEER, NULL);
	do {
		client = step(pair.client);
		server = step(pair.server);
	} while (client <= SSL_ERROR_WANT_WRITE && server <= SSL_ERROR_WANT_WRITE);
	hang();
}
