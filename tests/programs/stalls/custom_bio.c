/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client whose custom BIO uses a descriptor that OpenSSL does not know: a connection to the port
 * (`custom_bio PORT`), a datagram socket (`custom_bio PORT udp`), or, without a port, a socket
 * pair whose other end stays silent.
 */
#include "stall.h"

#include <arpa/inet.h>

static int descriptor;

static int take(BIO *bio, char *to, int size)
{
	BIO_clear_retry_flags(bio);
	return (int)recv(descriptor, to, (size_t)size, 0);
}

static int give(BIO *bio, const char *from, int size)
{
	BIO_clear_retry_flags(bio);
	return (int)send(descriptor, from, (size_t)size, 0);
}

static long control(BIO *bio, int command, long number, void *pointer)
{
	(void)bio, (void)number, (void)pointer;
	if (command == BIO_CTRL_DGRAM_QUERY_MTU || command == BIO_CTRL_DGRAM_GET_FALLBACK_MTU)
		return 1200;
	return command == BIO_CTRL_FLUSH;
}

static int create(BIO *bio)
{
	BIO_set_init(bio, 1);
	return 1;
}

static BIO *own_bio(void)
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "own");

	NEED(method && BIO_meth_set_read(method, take) && BIO_meth_set_write(method, give) &&
	     BIO_meth_set_ctrl(method, control) && BIO_meth_set_create(method, create));
	return BIO_new(method);
}

static int connect_udp(const char *port)
{
	struct sockaddr_in to = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons((uint16_t)atoi(port));
	NEED(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

int main(int argc, char **argv)
{
	bool datagrams = argc > 2;
	SSL *ssl = SSL_new(client_context(datagrams ? DTLS_client_method() : TLS_client_method()));
	BIO *bio = own_bio();
	int ends[2];

	NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	descriptor = datagrams ? connect_udp(argv[1]) : argc > 1 ? connect_to(argv[1]) : ends[0];
	SSL_set_bio(ssl, bio, bio);
	SSL_connect(ssl);
	hang();
}
