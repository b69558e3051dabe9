/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL keeps the indexes of ex_data with the library context that is the default: a program that
 * sets another one gets numbers that are the shim's in the first one. It keeps data at all of them,
 * and has info callbacks.
 */
#include "common.h"

#if OPENSSL_VERSION_NUMBER >= 0x30000000L
#include <openssl/crypto.h>
#define SET_DEFAULT(context) OSSL_LIB_CTX_set0_default(context)
#define NEW_DEFAULT() OSSL_LIB_CTX_new()
#else
#define SET_DEFAULT(context) (context)
#define NEW_DEFAULT() NULL
#endif

#define INDEXES 20
static int indexes[INDEXES], context_indexes[INDEXES], taken;
static char marks[INDEXES];
static int of_context, of_object;

static void on_context(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	of_context += where == SSL_CB_HANDSHAKE_DONE;
}

static void on_object(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	of_object += where == SSL_CB_HANDSHAKE_DONE;
}

static void take_indexes(int count)
{
	taken = count;
	for (int i = 0; i < count; i++) {
		indexes[i] = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
		context_indexes[i] = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
	}
}

static void mark(SSL *ssl)
{
	for (int i = 0; i < taken; i++)
		NEED(SSL_set_ex_data(ssl, indexes[i], &marks[i]));
}

static bool is_marked(const SSL *ssl)
{
	for (int i = 0; i < taken; i++) {
		if (SSL_get_ex_data(ssl, indexes[i]) != &marks[i])
			return false;
	}
	return true;
}

static void mark_context(SSL_CTX *ctx)
{
	for (int i = 0; i < taken; i++)
		NEED(SSL_CTX_set_ex_data(ctx, context_indexes[i], &marks[i]));
}

static bool is_marked_context(const SSL_CTX *ctx)
{
	for (int i = 0; i < taken; i++) {
		if (SSL_CTX_get_ex_data(ctx, context_indexes[i]) != &marks[i])
			return false;
	}
	return true;
}

/* The same contexts with new objects. */
static void renew(struct pair *pair)
{
	BIO *bio[2];

	SSL_free(pair->client);
	SSL_free(pair->server);
	pair->client = SSL_new(pair->client_ctx);
	pair->server = SSL_new(pair->server_ctx);
	NEED(BIO_new_bio_pair(&bio[0], 0, &bio[1], 0) == 1);
	SSL_set_bio(pair->client, bio[0], bio[0]);
	SSL_set_bio(pair->server, bio[1], bio[1]);
	set_role(pair);
}

static void shake_hands(const char *what, struct pair *pair)
{
	bool done;

	of_context = of_object = 0;
	mark(pair->client);
	SSL_CTX_set_info_callback(pair->client_ctx, on_context);
	SSL_CTX_set_info_callback(pair->server_ctx, on_context);
	SSL_set_info_callback(pair->client, on_object);
	NEED(SSL_get_info_callback(pair->client) == on_object);
	NEED(SSL_CTX_get_info_callback(pair->client_ctx) == on_context);
	done = finish(pair);
	printf("%s: %d, marks %s, reported %d and %d\n", what, done,
	       is_marked(pair->client) ? "kept" : "lost", of_context, of_object);
}

static void once(const char *what)
{
	struct pair pair = bio_pair(0);

	mark_context(pair.client_ctx);
	shake_hands(what, &pair);
	NEED(is_marked_context(pair.client_ctx));
	pair_free(&pair);
}

int main(void)
{
	struct pair first;
	void *before;

	take_indexes(1);
	first = bio_pair(0);
	shake_hands("the first default", &first);
	before = SET_DEFAULT(NEW_DEFAULT());
	take_indexes(INDEXES);
	renew(&first);
	shake_hands("objects of the second, contexts of the first", &first);
	pair_free(&first);
	once("the second");
	once("the second again");
	SET_DEFAULT(before);
	taken = 1;
	once("the first again");
	return 0;
}
