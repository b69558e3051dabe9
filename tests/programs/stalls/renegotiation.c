/* SPDX-License-Identifier: Apache-2.0 */
/* The server requests a second handshake; the client begins it in SSL_read and forgets it. */
#include "stall.h"

int main(void)
{
	struct pair pair = tcp_pair(true);
	char byte = 'x';

	SSL_set_max_proto_version(pair.client, TLS1_2_VERSION);
	NEED(finish(&pair));
	NEED(SSL_renegotiate(pair.server) == 1 && SSL_do_handshake(pair.server) == 1);
	NEED(await(pair.client_fd, POLLIN, -1));
	NEED(SSL_read(pair.client, &byte, 1) == -1);
	NEED(!SSL_is_init_finished(pair.client));
	NEED(SSL_read(pair.server, &byte, 1) == -1 &&
	     SSL_get_error(pair.server, -1) == SSL_ERROR_WANT_READ);
	NEED(await(pair.client_fd, POLLIN, -1));
	hang();
}
