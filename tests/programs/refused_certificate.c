/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TLS 1.3: the server requires a certificate; the client has none, and
 * learns of the refusal in its first read.
 */
#include "common.h"

int main(void)
{
	struct pair pair = tcp_pair(true);
	char byte;
	int ret;

	SSL_set_verify(pair.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	printf("client %s\n", error_name(step(pair.client)));
	printf("server %s\n", error_name(step(pair.server)));
	printf("client %s\n", error_name(step(pair.client)));
	printf("server %s\n", error_name(step(pair.server)));
	ERR_clear_error();
	ret = SSL_read(pair.client, &byte, 1);
	printf("read %d %s\n", ret, error_name(SSL_get_error(pair.client, ret)));
	printf("%s\n", ERR_reason_error_string(ERR_get_error()));
	pair_free(&pair);
	return 0;
}
