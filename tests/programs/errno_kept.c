/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Over UNIX sockets, which have no TCP_INFO: questions of the shim to the kernel fail, and errno after
 * each call is still what OpenSSL left.
 */
#include "common.h"

static void one_step(const char *who, SSL *ssl, int number)
{
	int ret, error, kept;

	errno = number;
	ret = SSL_do_handshake(ssl);
	kept = errno;
	error = SSL_get_error(ssl, ret);
	printf("%s %d %s: errno %d, then %d, queue %lx\n", who, ret, error_name(error), kept, errno, ERR_peek_error());
}

int main(void)
{
	struct pair pair = bio_pair(0);
	int fds[2];

	NEED(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	NEED(SSL_set_fd(pair.client, fds[0]) == 1 && SSL_set_fd(pair.server, fds[1]) == 1);
	set_role(&pair);
	for (int i = 0; i < 6; i++) {
		one_step("client", pair.client, 1000 + i);
		usleep(5000); /* so long a gap that the shim asks about the socket */
		one_step("server", pair.server, 2000 + i);
	}
	NEED(SSL_is_init_finished(pair.client) && SSL_is_init_finished(pair.server));
	pair_free(&pair);
	close(fds[0]), close(fds[1]);
	return 0;
}
