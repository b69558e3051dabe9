/* SPDX-License-Identifier: Apache-2.0 */
/* A BIO pair smaller than the ClientHello; its other end is read only once. */
#include "stall.h"

int main(int argc, char **argv)
{
	int fd = connect_to(argv[argc - 1]);
	struct pair pair = bio_pair(100);
	BIO *network = SSL_get_rbio(pair.server);
	char buffer[100];

	NEED(step(pair.client) == SSL_ERROR_WANT_WRITE);
	NEED(BIO_read(network, buffer, sizeof(buffer)) == 100 && write(fd, buffer, 100) == 100);
	NEED(step(pair.client) == SSL_ERROR_WANT_WRITE);
	await(fd, POLLIN, -1);
	hang();
}
