/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DTLS client: `dtls_client HOW PORT`. HOW is "timer": runs the timer when it is due; "again":
 * calls SSL_connect() again instead, which has the same effect; "forgetful": waits for an answer
 * without end; "blocking": uses a blocking socket, so OpenSSL runs the timer. Ends when connected.
 */
#include "stall.h"

#include <arpa/inet.h>
#include <fcntl.h>

static SSL *client_over_udp(const char *port, bool blocking)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM | (blocking ? 0 : SOCK_NONBLOCK), 0);
	BIO *bio = BIO_new_dgram(fd, BIO_NOCLOSE);
	SSL *ssl = SSL_new(client_context(DTLS_client_method()));

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(port));
	NEED(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	BIO_ctrl(bio, BIO_CTRL_DGRAM_SET_CONNECTED, 0, &to);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	return ssl;
}

static int until_due(SSL *ssl)
{
	struct timeval left;

	if (!DTLSv1_get_timeout(ssl, &left))
		return -1;
	return (int)(left.tv_sec * 1000 + left.tv_usec / 1000 + 1);
}

int main(int argc, char **argv)
{
	const char *how = argv[1];
	bool forgetful = !strcmp(how, "forgetful");
	SSL *ssl;

	NEED(argc == 3);
	ssl = client_over_udp(argv[2], !strcmp(how, "blocking"));
	while (step(ssl) == SSL_ERROR_WANT_READ) {
		if (await(SSL_get_fd(ssl), POLLIN, forgetful ? -1 : until_due(ssl)))
			continue;
		if (!strcmp(how, "timer"))
			NEED(DTLSv1_handle_timeout(ssl) >= 0);
	}
	NEED(SSL_is_init_finished(ssl));
	return 0;
}
