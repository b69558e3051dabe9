/* SPDX-License-Identifier: Apache-2.0 */
/* After WANT_READ the thread does something else: for ever, or for so many milliseconds. */
#include "stall.h"

int main(int argc, char **argv)
{
	SSL *ssl = unanswered(argv[1]);

	if (argc < 3)
		hang();
	sleep_ms(atoi(argv[2]));
	NEED(handshake(ssl));
	return 0;
}
