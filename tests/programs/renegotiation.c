/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2, and a second handshake on the same connection, requested by the client. */
#include "common.h"

static void exchange(struct pair *pair)
{
	char byte = 'x';

	for (int i = 0; i < 6; i++) {
		SSL_do_handshake(pair->client);
		SSL_read(pair->server, &byte, 1);
		ERR_clear_error();
	}
}

int main(void)
{
	struct pair pair = bio_pair(0);

	SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
#ifdef SSL_OP_ALLOW_CLIENT_RENEGOTIATION
	SSL_set_options(pair.server, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
#endif
	NEED(finish(&pair));
	printf("first: %s\n", SSL_get_version(pair.client));
	NEED(SSL_renegotiate(pair.client) == 1);
	exchange(&pair);
	printf("pending %d, renegotiations %ld\n", SSL_renegotiate_pending(pair.client),
	       SSL_num_renegotiations(pair.client));
	printf("finished %d %d\n", SSL_is_init_finished(pair.client),
	       SSL_is_init_finished(pair.server));
	pair_free(&pair);
	return 0;
}
