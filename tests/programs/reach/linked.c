/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linked PORT: the handshake of plugin.c, linked in any way; with
 * OTHER also that of a second plugin.
 */
#include "reach.h"

int handshake(int fd);
int other(int fd);

static void shake_hands(int (*how)(int fd), const char *port)
{
	int fd = connect_to(port);

	printf("%d\n", how(fd));
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 0;
	shake_hands(handshake, argv[1]);
#ifdef OTHER
	shake_hands(other, argv[1]);
#endif
	return 0;
}
