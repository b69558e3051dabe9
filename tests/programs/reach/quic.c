/* SPDX-License-Identifier: Apache-2.0 */
/* quic CERTIFICATE KEY: a QUIC client, and its server on a thread; OpenSSL 3.5 and later. */
#include <openssl/quic.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "reach.h"

static SSL_CTX *server_context;
static int server_fd;

static int choose(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in,
		  unsigned in_size, void *argument)
{
	(void)ssl, (void)in, (void)in_size, (void)argument;
	*out = (const unsigned char *)"x";
	*size = 1;
	return SSL_TLSEXT_ERR_OK;
}

/* Answers on the stream that the client opens. */
static void *serve(void *argument)
{
	SSL *listener = SSL_new_listener(server_context, 0), *connection, *stream;
	static char text[128];
	int handshake, got, sent;
	char byte;

	SSL_set_fd(listener, server_fd);
	SSL_listen(listener);
	connection = SSL_accept_connection(listener, 0);
	handshake = SSL_do_handshake(connection);
	stream = SSL_accept_stream(connection, 0);
	got = SSL_read(stream, &byte, 1);
	sent = SSL_write(stream, "y", 1);
	sprintf(text, "server: handshake %d, read %d, write %d", handshake, got, sent);
	SSL_stream_conclude(stream, 0);
	SSL_shutdown(connection);
	SSL_free(stream);
	SSL_free(connection);
	SSL_free(listener);
	(void)argument;
	return text;
}

static int udp_socket(struct sockaddr_in *address, int server)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	socklen_t size = sizeof(*address);

	if (server) {
		*address = (struct sockaddr_in){.sin_family = AF_INET,
						.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		bind(fd, (struct sockaddr *)address, sizeof(*address));
		getsockname(fd, (struct sockaddr *)address, &size);
	} else if (connect(fd, (struct sockaddr *)address, sizeof(*address))) {
		exit(9);
	}
	return fd;
}

static SSL *new_client(struct sockaddr_in *address)
{
	SSL *ssl = SSL_new(SSL_CTX_new(OSSL_QUIC_client_method()));
	BIO_ADDR *peer = BIO_ADDR_new();

	BIO_ADDR_rawmake(peer, AF_INET, &address->sin_addr, sizeof(address->sin_addr),
			 address->sin_port);
	SSL_set_fd(ssl, udp_socket(address, 0));
	SSL_set1_initial_peer_addr(ssl, peer);
	SSL_set_alpn_protos(ssl, (const unsigned char *)"\1x", 2);
	return ssl;
}

int main(int argc, char **argv)
{
	struct sockaddr_in address;
	pthread_t thread;
	SSL *ssl, *stream;
	void *said;
	char byte;
	int ret;

	if (argc != 3)
		return 2;
	server_context = SSL_CTX_new(OSSL_QUIC_server_method());
	SSL_CTX_use_certificate_file(server_context, argv[1], SSL_FILETYPE_PEM);
	SSL_CTX_use_PrivateKey_file(server_context, argv[2], SSL_FILETYPE_PEM);
	SSL_CTX_set_alpn_select_cb(server_context, choose, NULL);
	server_fd = udp_socket(&address, 1);
	pthread_create(&thread, NULL, serve, NULL);
	ssl = new_client(&address);
	ret = SSL_connect(ssl);
	printf("client: SSL_connect %d, error %d\n", ret, SSL_get_error(ssl, ret));
	stream = SSL_new_stream(ssl, 0);
	printf("client: write %d", SSL_write(stream, "z", 1));
	SSL_stream_conclude(stream, 0);
	printf(", read %d\n", SSL_read(stream, &byte, 1));
	SSL_free(stream);
	SSL_shutdown(ssl);
	SSL_free(ssl);
	pthread_join(thread, &said);
	puts(said);
	return 0;
}
