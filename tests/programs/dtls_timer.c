/* SPDX-License-Identifier: Apache-2.0 */
/* DTLS without an answer: the first flight is retransmitted twice. */
#include <arpa/inet.h>
#include <sys/select.h>

#include "common.h"

static int udp_socket(struct sockaddr_in *address)
{
	socklen_t length = sizeof(*address);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	*address = (struct sockaddr_in){.sin_family = AF_INET};
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	NEED(fd >= 0 && bind(fd, (struct sockaddr *)address, length) == 0);
	NEED(getsockname(fd, (struct sockaddr *)address, &length) == 0);
	return fd;
}

static unsigned soon(SSL *ssl, unsigned before)
{
	(void)ssl, (void)before;
	return 20000; /* microseconds */
}

int main(void)
{
	SSL_CTX *ctx = client_context(DTLS_client_method());
	struct sockaddr_in own, nobody;
	int fd = udp_socket(&own), deaf = udp_socket(&nobody), sent = 0;
	BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
	SSL *ssl = SSL_new(ctx);

	NEED(ssl && bio && !connect(fd, (struct sockaddr *)&nobody, sizeof(nobody)));
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &nobody);
	SSL_set_bio(ssl, bio, bio);
	DTLS_set_timer_cb(ssl, soon);
	NEED(SSL_get_error(ssl, SSL_connect(ssl)) == SSL_ERROR_WANT_READ);
	while (sent < 2) {
		struct timeval left;

		NEED(DTLSv1_get_timeout(ssl, &left) == 1);
		select(0, NULL, NULL, NULL, &left);
		sent += DTLSv1_handle_timeout(ssl) == 1;
	}
	printf("sent again %d times\n", sent);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	close(fd);
	close(deaf);
	return 0;
}
