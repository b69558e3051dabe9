/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a handshake in a chroot, argv[1], without /proc; "late": also before that. */
#include "../common.h"

int main(int argc, char **argv)
{
	struct pair before, inside;
	bool late = argc > 2 && !strcmp(argv[2], "late");

	if (late) {
		before = bio_pair(0);
		NEED(finish(&before));
	}
	NEED(argc > 1 && !chroot(argv[1]) && !chdir("/"));
	inside = bio_pair(0);
	printf("handshake %d\n", finish(&inside));
	if (late)
		pair_free(&before);
	pair_free(&inside);
	return 0;
}
