/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes COUNT successful handshakes over TCP, both sides alternating in one thread, while another
 * program counts what this process does: connections COUNT.
 */
#include "programs/common.h"

static SSL_CTX *client_ctx, *server_ctx;

static void connection(void)
{
	struct pair pair = {0};
	int fds[2];

	tcp_sockets(fds, true);
	NEED(pair.client = SSL_new(client_ctx));
	NEED(pair.server = SSL_new(server_ctx));
	NEED(SSL_set_fd(pair.client, fds[0]) == 1 && SSL_set_fd(pair.server, fds[1]) == 1);
	set_role(&pair);
	NEED(finish(&pair));
	SSL_free(pair.client);
	SSL_free(pair.server);
	close(fds[0]);
	close(fds[1]);
}

int main(int argc, char **argv)
{
	client_ctx = client_context(TLS_client_method());
	server_ctx = server_context(TLS_server_method());
	for (int i = argc == 2 ? atoi(argv[1]) : 0; i > 0; i--)
		connection();
	return 0;
}
