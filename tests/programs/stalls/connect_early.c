/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake begins before connect() has finished; the address never answers. */
#include "stall.h"

#include <arpa/inet.h>

int main(int argc, char **argv)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	SSL *ssl = SSL_new(client_context(TLS_client_method()));

	NEED(argc == 3 && inet_pton(AF_INET, argv[1], &address.sin_addr) == 1);
	address.sin_port = htons((uint16_t)atoi(argv[2]));
	NEED(connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1);
	NEED(errno == EINPROGRESS && SSL_set_fd(ssl, fd) == 1);
	SSL_set_connect_state(ssl);
	NEED(handshake(ssl));
	return 0;
}
