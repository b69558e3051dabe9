/* SPDX-License-Identifier: Apache-2.0 */
/* The server signs with an RSA key of 16384 bits without its factors, which takes long. Ends. */
#define OPENSSL_SUPPRESS_DEPRECATED /* no other API makes a key without factors */
#include "stall.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>

/* A product of many small primes: made quickly, and as slow to use as any key of its size. */
static EVP_PKEY *make_heavy_key(void)
{
	BIGNUM *n = BN_new(), *e = BN_new(), *phi = BN_new(), *prime = BN_new();
	BN_CTX *ctx = BN_CTX_new();
	EVP_PKEY *key = EVP_PKEY_new();
	RSA *rsa = RSA_new();

	NEED(BN_one(n) && BN_one(phi) && BN_set_word(e, RSA_F4));
	for (int i = 0; i < 32; i++) {
		NEED(BN_generate_prime_ex(prime, 512, 0, NULL, NULL, NULL));
		NEED(BN_mul(n, n, prime, ctx) && BN_sub_word(prime, 1));
		NEED(BN_mul(phi, phi, prime, ctx));
	}
	NEED(RSA_set0_key(rsa, n, e, BN_mod_inverse(NULL, e, phi, ctx)) == 1);
	NEED(EVP_PKEY_assign_RSA(key, rsa) == 1);
	BN_free(prime);
	BN_free(phi);
	BN_CTX_free(ctx);
	return key;
}

static void use_heavy_key(SSL *ssl)
{
	EVP_PKEY *heavy = make_heavy_key(), *signer;
	X509 *certificate;

	make_certificate("localhost", &certificate, &signer);
	NEED(X509_set_pubkey(certificate, heavy) == 1);
	NEED(X509_sign(certificate, signer, EVP_sha256()) > 0);
	NEED(SSL_use_certificate(ssl, certificate) == 1 && SSL_use_PrivateKey(ssl, heavy) == 1);
}

int main(void)
{
	struct pair pair = tcp_pair(true);

	use_heavy_key(pair.server);
	/* the server has an ECDSA key too */
	NEED(SSL_set1_sigalgs_list(pair.client, "rsa_pss_rsae_sha256") == 1);
	NEED(finish(&pair));
	return 0;
}
