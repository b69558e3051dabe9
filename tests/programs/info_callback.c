/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's own info callbacks, on the context and on the object, set before the handshake,
 * set between ops, and removed: what they see and what the getters return.
 */
#include "common.h"

typedef void (*info_callback)(const SSL *ssl, int where, int ret);

static void on_context(const SSL *ssl, int where, int ret)
{
	printf("  context %04x %d %s\n", where, ret, SSL_state_string_long(ssl));
}

static void on_object(const SSL *ssl, int where, int ret)
{
	printf("  object %04x %d %s\n", where, ret, SSL_state_string_long(ssl));
}

static const char *name(info_callback callback)
{
	return !callback ? "none" : callback == on_context ? "context" :
	       callback == on_object ? "object" : "somebody else's";
}

static void show(struct pair *pair)
{
	printf("context has %s, client has %s, server has %s\n",
	       name(SSL_CTX_get_info_callback(pair->client_ctx)),
	       name(SSL_get_info_callback(pair->client)),
	       name(SSL_get_info_callback(pair->server)));
}

static void half_way(struct pair *pair)
{
	show(pair);
	printf("client %s\n", error_name(step(pair->client)));
	show(pair);
}

static void run(const char *title, info_callback context, info_callback before,
		info_callback between)
{
	struct pair pair = bio_pair(0);

	printf("%s\n", title);
	if (context) {
		SSL_CTX_set_info_callback(pair.client_ctx, context);
		SSL_free(pair.client);
		NEED(pair.client = SSL_new(pair.client_ctx));
		BIO *mine, *theirs;
		NEED(BIO_new_bio_pair(&mine, 0, &theirs, 0) == 1);
		SSL_set_bio(pair.client, mine, mine);
		SSL_set_bio(pair.server, theirs, theirs);
		set_role(&pair);
	}
	if (before)
		SSL_set_info_callback(pair.client, before);
	half_way(&pair);
	SSL_set_info_callback(pair.client, between);
	NEED(finish(&pair));
	show(&pair);
	pair_free(&pair);
}

int main(void)
{
	run("none", NULL, NULL, NULL);
	run("object", NULL, on_object, on_object);
	run("context", on_context, NULL, NULL);
	run("both", on_context, on_object, on_object);
	run("taken away", on_context, on_object, NULL);
	run("late", NULL, NULL, on_object);
	return 0;
}
