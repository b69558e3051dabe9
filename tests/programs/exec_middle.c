/* SPDX-License-Identifier: Apache-2.0 */
/* A handshake, half of another one, then an exec of itself, which makes one more. */
#include "common.h"

int main(int argc, char **argv)
{
	struct pair pair = bio_pair(0);

	printf("%s %d\n", argc > 1 ? argv[1] : "first image", finish(&pair));
	if (argc > 1)
		return 0;
	pair = bio_pair(0);
	printf("half %s\n", error_name(step(pair.client)));
	fflush(stdout);
	execl(argv[0], argv[0], "second image", (char *)NULL);
	return 1;
}
