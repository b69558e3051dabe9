/* SPDX-License-Identifier: Apache-2.0 */
/* SSL_key_update: too early, successfully, and with a protocol that does not support it. */
#include "common.h"

static void update(const char *when, SSL *ssl)
{
	int ret = SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED);

	printf("%s: %d %s\n", when, ret, error_name(SSL_get_error(ssl, ret)));
	ERR_clear_error();
}

static void run(int version)
{
	struct pair pair = bio_pair(0);

	NEED(SSL_set_max_proto_version(pair.client, version) == 1);
	set_role(&pair);
	update("before", pair.client);
	NEED(finish(&pair));
	update("after", pair.client);
	pair_free(&pair);
}

int main(void)
{
	SSL_CTX *ctx = client_context(TLS_client_method());
	SSL *ssl;

	run(TLS1_3_VERSION);
	run(TLS1_2_VERSION);
	/* no other function is called on this object */
	NEED(ctx && (ssl = SSL_new(ctx)));
	update("alone", ssl);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return 0;
}
