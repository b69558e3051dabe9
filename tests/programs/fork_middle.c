/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork() in the middle of a handshake: the child continues as the
 * client, the parent as the server.
 */
#include "common.h"

#include <sys/wait.h>

static int serve(struct pair *pair)
{
	int ret = SSL_accept(pair->server);
	char byte = 0;

	if (ret == 1)
		ret = SSL_read(pair->server, &byte, 1);
	printf("parent: %d %c\n", ret, byte);
	return ret == 1 ? 0 : 1;
}

static int go_on(struct pair *pair)
{
	int ret = SSL_connect(pair->client);

	printf("child: %d\n", ret);
	if (ret == 1)
		ret = SSL_write(pair->client, "x", 1);
	fflush(stdout);
	return ret == 1 ? 0 : 1;
}

int main(void)
{
	struct pair pair = tcp_pair(false);
	int status;
	pid_t child;

	setvbuf(stdout, NULL, _IOLBF, 0);
	/* The ClientHello is sent before the fork, the answer after it. */
	NEED(BIO_socket_nbio(pair.client_fd, 1) == 1);
	printf("first: %s\n", error_name(step(pair.client)));
	NEED(BIO_socket_nbio(pair.client_fd, 0) == 1);
	child = fork();
	NEED(child >= 0);
	if (child == 0)
		_exit(go_on(&pair));
	NEED(serve(&pair) == 0);
	NEED(waitpid(child, &status, 0) == child);
	printf("child's status: %d\n", WEXITSTATUS(status));
	pair_free(&pair);
	return 0;
}
