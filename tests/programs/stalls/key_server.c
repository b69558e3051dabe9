/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A server whose private key is elsewhere: each signature waits for an answer, which never comes.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "stall.h"

#include <openssl/ec.h>

static int sign(int type, const unsigned char *digest, int length, unsigned char *signature,
		unsigned int *size, const BIGNUM *inverse, const BIGNUM *r, EC_KEY *key)
{
	int ends[2];
	char answer;

	(void)type, (void)digest, (void)length, (void)signature, (void)size;
	(void)inverse, (void)r, (void)key;
	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	NEED(read(ends[0], &answer, 1) == 1);
	return 0;
}

static void give_key_away(SSL *ssl)
{
	EC_KEY_METHOD *method = EC_KEY_METHOD_new(EC_KEY_OpenSSL());
	EC_KEY *key = EVP_PKEY_get1_EC_KEY(SSL_get_privatekey(ssl));
	EVP_PKEY *elsewhere = EVP_PKEY_new();

	NEED(method && key && elsewhere);
	EC_KEY_METHOD_set_sign(method, sign, NULL, NULL);
	NEED(EC_KEY_set_method(key, method) && EVP_PKEY_set1_EC_KEY(elsewhere, key));
	NEED(SSL_use_PrivateKey(ssl, elsewhere));
}

static void *connect_other_end(void *ssl)
{
	SSL_connect(ssl);
	return NULL;
}

int main(void)
{
	struct pair pair = tcp_pair(false);
	pthread_t client;

	give_key_away(pair.server);
	NEED(pthread_create(&client, NULL, connect_other_end, pair.client) == 0);
	SSL_accept(pair.server);
	hang();
}
