/* SPDX-License-Identifier: Apache-2.0 */
/* The client continues over another descriptor, then over another BIO, of the same connection. */
#include "common.h"

static const char *swap_descriptor(struct pair *pair)
{
	int fd = dup(pair->client_fd);

	NEED(fd >= 0 && SSL_set_fd(pair->client, fd) == 1);
	close(pair->client_fd);
	pair->client_fd = fd;
	return error_name(step(pair->client));
}

static const char *swap_bio(struct pair *pair)
{
	BIO *bio = BIO_new_socket(pair->client_fd, BIO_NOCLOSE);

	NEED(bio);
	SSL_set_bio(pair->client, bio, bio);
	return error_name(step(pair->client));
}

int main(void)
{
	struct pair pair = tcp_pair(true);

	printf("first %s\n", error_name(step(pair.client)));
	printf("other descriptor %s\n", swap_descriptor(&pair));
	printf("other BIO %s\n", swap_bio(&pair));
	printf("finished %d\n", finish(&pair));
	pair_free(&pair);
	return 0;
}
