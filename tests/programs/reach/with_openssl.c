/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plugin for comes_again, with an OpenSSL of its own that it exports, so that its calls go through
 * the shim. It has data at many indexes of its objects, and an info callback. PADDED changes its
 * layout.
 */
#include "../common.h"

#define INDEXES 20

int shake_hands(void);
char padding[PADDED * 0x40000];
static int reports;

static void on_info(const SSL *ssl, int where, int ret)
{
	(void)ssl, (void)ret;
	reports += where == SSL_CB_HANDSHAKE_DONE;
}

static void *mark_of(int i)
{
	return &padding[i];
}

/* What is kept with each object is as it was. */
static bool is_kept(const SSL *ssl, const int indexes[])
{
	for (int i = 0; i < INDEXES; i++) {
		if (SSL_get_ex_data(ssl, indexes[i]) != mark_of(i))
			return false;
	}
	return true;
}

int shake_hands(void)
{
	struct pair pair = bio_pair(0);
	int indexes[INDEXES];
	bool done;

	for (int i = 0; i < INDEXES; i++) {
		indexes[i] = SSL_get_ex_new_index(0, NULL, NULL, NULL, NULL);
		NEED(SSL_set_ex_data(pair.client, indexes[i], mark_of(i)));
	}
	SSL_CTX_set_info_callback(pair.client_ctx, on_info);
	done = finish(&pair) && is_kept(pair.client, indexes) && reports == 1 &&
	       SSL_CTX_get_info_callback(pair.client_ctx) == on_info;
	pair_free(&pair);
	OPENSSL_thread_stop();
	return done;
}
