// SPDX-License-Identifier: Apache-2.0
/*
 * inside PORT: a handshake from C++, whose callback throws through libssl. Debuggers and unwinders
 * must see functions that begin with a jump as before.
 */
#include <arpa/inet.h>
#include <openssl/ssl.h>
#include <stdexcept>
#include <unistd.h>

static int connect_to(const char *port)
{
	sockaddr_in address = {};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)atoi(port));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (connect(fd, (sockaddr *)&address, sizeof(address)))
		exit(9);
	return fd;
}

static void refuse(const SSL *, int where, int)
{
	if (where == SSL_CB_CONNECT_LOOP)
		throw std::runtime_error("thrown through libssl");
}

static int handshake(const char *port, void (*callback)(const SSL *, int, int))
{
	SSL_CTX *context = SSL_CTX_new(TLS_client_method());
	SSL *ssl = SSL_new(context);
	int ret, fd = connect_to(port);

	SSL_set_info_callback(ssl, callback);
	SSL_set_fd(ssl, fd);
	ret = SSL_connect(ssl);
	SSL_write(ssl, "x", 1);
	printf("%d, error %d\n", ret, SSL_get_error(ssl, ret));
	SSL_shutdown(ssl);
	SSL_free(ssl);
	SSL_CTX_free(context);
	close(fd);
	return ret;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	handshake(argv[1], nullptr);
	try {
		handshake(argv[1], refuse);
	} catch (const std::exception &e) {
		printf("%s\n", e.what());
	}
	return 0;
}
