/* SPDX-License-Identifier: Apache-2.0 */
/* A BIO pair, correctly served: nothing comes from the peer. */
#include "stall.h"

int main(int argc, char **argv)
{
	int fd = connect_to(argv[argc - 1]);
	struct pair pair = bio_pair(0);
	BIO *network = SSL_get_rbio(pair.server);
	char buffer[4096];
	int size;

	for (;;) {
		NEED(step(pair.client) == SSL_ERROR_WANT_READ);
		while ((size = BIO_read(network, buffer, sizeof(buffer))) > 0)
			NEED(write(fd, buffer, (size_t)size) == size);
		NEED(!await(fd, POLLIN, 200));
	}
}
