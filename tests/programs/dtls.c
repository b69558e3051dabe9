/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS over connected UDP sockets on loopback. */
#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>

static int udp_socket(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0);
	NEED(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	NEED(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	return fd;
}

static void use_socket(SSL *ssl, int fd, struct sockaddr_in *peer)
{
	BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);

	NEED(connect(fd, (struct sockaddr *)peer, sizeof(*peer)) == 0);
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, peer);
	SSL_set_bio(ssl, bio, bio);
}

int main(void)
{
	struct pair pair = {
		.client_ctx = client_context(DTLS_client_method()),
		.server_ctx = server_context(DTLS_server_method()),
	};
	struct sockaddr_in client_address, server_address;

	NEED(pair.client = SSL_new(pair.client_ctx));
	NEED(pair.server = SSL_new(pair.server_ctx));
	pair.client_fd = udp_socket(&client_address);
	pair.server_fd = udp_socket(&server_address);
	use_socket(pair.client, pair.client_fd, &server_address);
	use_socket(pair.server, pair.server_fd, &client_address);
	set_role(&pair);
	printf("finished %d\n", finish(&pair));
	printf("%s\n", SSL_get_version(pair.client));
	pair_free(&pair);
	return 0;
}
