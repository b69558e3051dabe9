/* SPDX-License-Identifier: Apache-2.0 */
/* Repeats the call at once, whatever the result. */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = client_of(argv[argc - 1], true);

	while (SSL_connect(ssl) != 1)
		;
	return 0;
}
