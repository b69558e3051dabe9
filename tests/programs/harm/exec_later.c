/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a handshake, waits for a line, and executes itself to make one more. */
#include "../common.h"

int main(int argc, char **argv)
{
	struct pair pair = bio_pair(0);
	char byte;

	NEED(finish(&pair));
	pair_free(&pair);
	puts(argc > 1 ? "second" : "first");
	fflush(stdout);
	if (argc > 1)
		return 0;
	NEED(read(0, &byte, 1) == 1);
	execl(argv[0], argv[0], "again", (char *)NULL);
	return 1;
}
