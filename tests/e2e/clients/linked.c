/* SPDX-License-Identifier: Apache-2.0 */
/* linked PORT: plugin.c's handshake, in whatever way it is linked with it. */
#include "reach.h"

int handshake(int fd);

int main(int argc, char **argv)
{
	if (argc == 2)
		printf("%d\n", handshake(connect_to(argv[1])));
	return 0;
}
