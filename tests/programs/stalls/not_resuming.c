/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After WANT_READ the thread does something else: forever, or for the given milliseconds from when the
 * answer is there.
 */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = unanswered(argv[1]);

	if (argc < 3)
		hang();
	await(SSL_get_fd(ssl), POLLIN, -1);
	sleep_ms(atoi(argv[2]));
	NEED(handshake(ssl));
	return 0;
}
