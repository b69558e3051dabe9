/* SPDX-License-Identifier: Apache-2.0 */
/* Has no free descriptor for its first handshakes; with "later", one for the last. */
#include "../common.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <openssl/rand.h>

static void handshake(void)
{
	struct pair pair = bio_pair(0);

	printf("handshake %d\n", finish(&pair));
	pair_free(&pair);
}

int main(int argc, char **argv)
{
	struct rlimit limit = {64, 64};
	unsigned char byte;
	int last = -1, fd;

	NEED(RAND_bytes(&byte, 1) == 1 && !setrlimit(RLIMIT_NOFILE, &limit));
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		last = fd;
	handshake();
	if (argc > 1 && !strcmp(argv[1], "later")) {
		close(last);
		usleep(150000);
		handshake();
		NEED(open("/dev/null", O_RDONLY) == last);
	}
	return 0;
}
