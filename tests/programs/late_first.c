/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connects, does something else for a while, and only then begins TLS; also once after plain text.
 */
#include <time.h>

#include "common.h"

static void rest(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 120000000}, NULL);
}

int main(void)
{
	struct pair pair = tcp_pair(true);
	char line[8];

	set_role(&pair);
	rest();
	printf("late: %d\n", finish(&pair));
	pair_free(&pair);

	pair = tcp_pair(false);
	set_role(&pair);
	NEED(write(pair.client_fd, "STARTTLS", 8) == 8 && read(pair.server_fd, line, 8) == 8);
	NEED(BIO_socket_nbio(pair.client_fd, 1) == 1 && BIO_socket_nbio(pair.server_fd, 1) == 1);
	rest();
	printf("after plain text: %d\n", finish(&pair));
	pair_free(&pair);
	return 0;
}
